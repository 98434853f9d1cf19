package rig

// gpioSim is a GPIO chip whose lines' other ends are in sysfs. Debian's kernel
// has neither the module nor the simulated interrupts that it stands on.
var gpioSim = ownModule{
	name: "gpio-sim",
	sources: map[string]string{
		"drivers/gpio/gpio-sim.c": "gpio-sim-core.c",
		"drivers/gpio/gpiolib.h":  "gpiolib.h",
		"kernel/irq/irq_sim.c":    "irq_sim.c",
	},
	changes: map[string]string{
		// Not exported to modules; this gives the same descriptor.
		"irq_to_desc(irqnum)": "irq_data_to_desc(irq_get_irq_data(irqnum))",
		// Nothing loads the module by the device tree, and modpost can't read an
		// ARM table of another machine's word size.
		"MODULE_DEVICE_TABLE(of, gpio_sim_of_match);": "",
	},
	makefile: "gpio-sim-y := gpio-sim-core.o irq_sim.o\nccflags-y := -DCONFIG_IRQ_SIM=1\n",
}
