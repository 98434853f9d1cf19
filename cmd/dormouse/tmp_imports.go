package main

import (
	_ "example.org/dormouse/sensors/command"
	_ "example.org/dormouse/sensors/kernel"
	_ "example.org/dormouse/sensors/lines"
)
