-- ARGV: group.
return acknowledged(ARGV[1])
