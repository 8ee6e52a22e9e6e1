//! The real Claude Code, led by a scripted model.
