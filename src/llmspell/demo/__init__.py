"""The demo: a research script over real text that is killed half way, resumed, and then looked at."""
