##! Zeek Agent: the framework, and a log for each table.
##!
##! Load ``zeek-agent/framework`` instead to have the API without the logs.

@load ./framework
@load ./tables
