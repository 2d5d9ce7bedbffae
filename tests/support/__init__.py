"""What tests share. Few fakes: where a real thing is quick enough, tests use the real thing."""
