##! A log for each table; each script can be loaded alone, and switched off.

@load ./file-events
@load ./files
@load ./interfaces
@load ./listening-ports
@load ./mounts
@load ./processes
@load ./processes-events
@load ./services
@load ./sockets
@load ./sockets-events
@load ./ssh
@load ./system-logs
@load ./users
