"""What the ranking model looks at: permutation importance and partial dependence."""
