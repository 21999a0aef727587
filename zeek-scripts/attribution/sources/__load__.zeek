##! Where attribution has its facts from.

@load ./hosts
@load ./sockets
@load ./sockets-events
@load ./socket-events
@load ./processes
@load ./processes-events
@load ./process-events
@load ./users
@load ./hashes
