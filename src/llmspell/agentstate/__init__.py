"""The room of agent state: one versioned record for each agent, its conversation kept message by message."""
