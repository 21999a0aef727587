##! Lets Zeek keep every connection ten seconds after its end, so that ``conn.log`` can
##! name processes even if the agents' word is late. Not loaded by default: it costs memory,
##! and ends idle TCP connections after ten seconds.

redef tcp_SYN_timeout = 10secs;
redef tcp_attempt_delay = 10secs;
redef tcp_close_delay = 10secs;
redef tcp_connection_linger = 10secs;
redef tcp_inactivity_timeout = 10secs;
redef tcp_reset_delay = 10secs;
redef tcp_session_timer = 10secs;
