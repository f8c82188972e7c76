"""What each constraint makes of a tensor, straight from its definition."""
