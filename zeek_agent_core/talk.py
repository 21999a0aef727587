"""`zeek-agent -r`: a console for the agent that runs already."""

from zeek_agent_core.config import Config, socket_path, state_directory
from zeek_agent_core.remote.client import RemoteBackend
from zeek_agent_core.repl import shell


async def remote(config: Config) -> int:
    """Talk to the agent that answers at the console socket; return the exit status."""
    async with RemoteBackend(socket_path(config)) as agent:
        state, keys = state_directory(config), config.console.keys
        return await shell.run(agent, state_directory=state, keys=keys)
