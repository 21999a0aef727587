##! Zeek Agent: the framework, a log for each table, and who is behind connections.
##!
##! Load ``zeek-agent/framework`` instead to have the API without the logs.

@load ./framework
@load ./tables
@load ./attribution
