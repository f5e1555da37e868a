"""What people see of work that goes on: lines, bars, JSON."""
