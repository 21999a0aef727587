##! Who was behind a connection: processes and users in ``conn.log``.

@load ./connections
@load ./sources
