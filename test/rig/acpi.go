package rig

import "encoding/binary"

// ThermalZone is the machine's one thermal zone with a temperature: the
// kernel's ACPI driver makes it of a table that the rig gives to QEMU.
const ThermalZone = "/sys/class/thermal/thermal_zone0"

// ThermalMillidegrees is what its file "temp" reads, in 1/1000 °C.
const ThermalMillidegrees = 42000

// thermalTable is an SSDT with a thermal zone of a constant temperature
// (ACPI specification 6.4, sections 5.2.6, 11.4 and 20.2):
//
//	Scope (\_TZ) { ThermalZone (TZ00) { Name (_TMP, 3152) Name (_CRT, 3732) } }
//
// Temperatures are in tenths of kelvins.
func thermalTable() []byte {
	name := func(n string, v uint16) []byte {
		return append(append([]byte{0x08}, n...), 0x0b, byte(v), byte(v>>8))
	}
	zone := append([]byte("TZ00"), name("_TMP", ThermalMillidegrees/100+2732)...)
	zone = append(zone, name("_CRT", 3732)...)
	zone = append([]byte{0x5b, 0x85, byte(len(zone) + 1)}, zone...)
	scope := append([]byte("\\_TZ_"), zone...)
	scope = append([]byte{0x10, byte(len(scope) + 1)}, scope...)

	table := append([]byte("SSDT\x00\x00\x00\x00\x02\x00DORMSE"+"RIGTHERM"), 1, 0, 0, 0)
	table = append(append(table, "RIG "...), 1, 0, 0, 0)
	table = append(table, scope...)
	binary.LittleEndian.PutUint32(table[4:], uint32(len(table)))
	var sum byte
	for _, b := range table {
		sum += b
	}
	table[9] = -sum
	return table
}
