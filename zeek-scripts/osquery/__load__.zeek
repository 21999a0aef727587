##! Logs of osquery's tables; agents without osquery are asked for nothing.
##!
##! ``executed-attachments.zeek`` is not among them, since it takes Zeek's file analysis.

@load ./interfaces
@load ./listening-ports
@load ./mounts
@load ./process-events
@load ./server-applications
@load ./socket-events
@load ./users
