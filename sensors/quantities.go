package sensors

import "example.org/dormouse/sensors/units"

// Further quantities: of gases and water, of weather and radiation, of what
// moves, of batteries, and of the Pi's own supply.
var (
	VOCRaw        = quantity("voc_raw", units.None, Gauge, "Signal of volatile organic compounds as the chip gives it, without a unit.", &Range{0, 65535})
	NOxRaw        = quantity("nox_raw", units.None, Gauge, "Signal of nitrogen oxides as the chip gives it, without a unit.", &Range{0, 65535})
	Concentration = quantity("concentration", units.PartsPerMio, Gauge, "Concentration of a gas, by volume.", &Range{0, 1e6})

	PH              = quantity("ph", units.None, Gauge, "pH value.", &Range{-2, 16})
	Conductivity    = quantity("conductivity", units.SiemensPerMeter, Gauge, "Electric conductivity.", &Range{0, 1e3})
	DissolvedOxygen = quantity("dissolved_oxygen", units.GramsPerCubicMeter, Gauge, "Oxygen dissolved in water.", &Range{0, 1e3})
	Redox           = quantity("redox", units.Volts, Gauge, "Oxidation and reduction potential.", &Range{-10, 10})

	WindDirection        = quantity("wind_direction", units.Degrees, Gauge, "Direction that the wind comes from, clockwise from north.", &Range{0, 360})
	LightningStrikes     = quantity("lightning_strikes", units.None, Counter, "Lightning strikes detected.", nil)
	LightningDistance    = quantity("lightning_distance", units.Meters, Gauge, "Estimated distance of the storm's front.", &Range{0, 100e3})
	SoundLevel           = quantity("sound_level", units.Decibels, Gauge, "Sound pressure level.", &Range{-100, 250})
	DoseRate             = quantity("dose_rate", units.SievertsPerHour, Gauge, "Dose rate of ionizing radiation.", &Range{0, 1e4})
	DifferentialPressure = quantity("differential_pressure", units.Pascals, Gauge, "Difference of two pressures.", &Range{-10e6, 10e6})
	ColorTemperature     = quantity("color_temperature", units.Kelvin, Gauge, "Correlated colour temperature.", &Range{0, 1e5})
	LightIntensity       = quantity("light_intensity", units.None, Gauge, "Intensity of light as the chip gives it, without a unit.", &Range{0, 1 << 32})

	Acceleration    = quantity("acceleration", units.MetersPerSecondSquared, Gauge, "Acceleration.", &Range{-1e5, 1e5})
	AngularVelocity = quantity("angular_velocity", units.RadiansPerSecond, Gauge, "Angular velocity.", &Range{-1e4, 1e4})
	Angle           = quantity("angle", units.Degrees, Gauge, "Angle.", &Range{-360, 360})
	MagneticField   = quantity("magnetic_field", units.Teslas, Gauge, "Magnetic flux density.", &Range{-100, 100})
	Proximity       = quantity("proximity", units.None, Gauge, "Proximity as the chip gives it, without a unit: more is nearer.", &Range{0, 1 << 32})
	Capacitance     = quantity("capacitance", units.Farads, Gauge, "Electric capacitance.", &Range{-1, 1e4})

	Charge        = quantity("charge", units.Coulombs, Gauge, "Electric charge left in a battery.", &Range{-1e9, 1e9})
	StoredEnergy  = quantity("stored_energy", units.Joules, Gauge, "Energy left in a battery.", &Range{0, 1e12})
	RemainingTime = quantity("remaining_time", units.Seconds, Gauge, "Time until the battery is empty, or full, at the present rate.", &Range{0, 366 * 86400})

	Throttled = quantity("throttled", units.None, Gauge, "Whether the Pi's firmware limits or has limited the processor: for too low a supply voltage or for heat.", &Range{0, 1}, "state", "since")
)
