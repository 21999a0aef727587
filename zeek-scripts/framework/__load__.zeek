##! The API of Zeek Agent, without any queries.

@load ./types
@load ./api
@load ./nodes
@load ./versions
@load ./cluster
@load ./agents
@load ./errors
@load ./groups
@load ./queries
@load ./quote
@load ./execute
@load ./forwarding
@load ./replicas
@load ./sessions
@load ./logs
@load ./main
@load ./notes
