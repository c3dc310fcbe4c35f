package conformance

// What the external tests share with the internal ones.
const RaceEnabled = raceEnabled

var LongRows = longRows
