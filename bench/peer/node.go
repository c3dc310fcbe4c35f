//go:build linux

package peer

const makePeers = "`make peers` installs it, given Node and npm"

// Servers in JavaScript, in the folder js/.
var (
	bun = Server{
		Name:    "bun",
		Role:    Other,
		About:   "Bun.serve of npm's bun, which has uWebSockets inside; its topics for prepared broadcasts",
		Command: []string{"js/node_modules/.bin/bun", "js/bun.js"},
		Needs:   []string{"js/node_modules/.bin/bun"},
		Hint:    makePeers,
	}
	npmWS = Server{
		Name:    "npm-ws",
		Role:    Other,
		About:   "npm's ws with bufferutil, on Node",
		Command: []string{"node", "--expose-gc", "js/ws.mjs"},
		Needs:   []string{"node", "js/node_modules/ws/package.json"},
		Hint:    makePeers,
	}
)
