##! A log for each table; each script can be loaded alone, and switched off.

@load ./processes
@load ./sockets
