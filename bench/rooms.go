//go:build linux

package main

import (
	"fmt"

	"github.com/tidewire/ws/bench/load"
	"github.com/tidewire/ws/bench/peer"
)

// Titles of the hub's tables.
const (
	titleRooms   = "128 bytes to a room"
	titleMembers = "Members of rooms, 100 in each"
)

// rooms are the workloads of a hub: a message, or a burst of them, to all members of a room, and what a member costs.
func rooms(idle int) (all []Workload) {
	for _, members := range []int{1000, 5000} {
		for _, burst := range []int{1, 16} {
			all = append(all, Workload{
				Name: fmt.Sprintf("room/%d/%d", members, burst), Title: titleRooms, Core: true,
				Server: peer.Config{Mode: peer.Room, Burst: burst},
				Load:   load.Spec{Kind: load.Fan, Conns: members, Payload: load.Binary, Size: 128, Fan: burst, Numbered: true},
			})
		}
	}
	for _, n := range []int{0, 1, 11} {
		all = append(all, Workload{
			Name: fmt.Sprintf("members/%d", n), Title: titleMembers, Shape: Memory, Core: true,
			Server: peer.Config{Mode: peer.Members, Rooms: n},
			Load:   load.Spec{Kind: load.Idle, Conns: idle, Payload: load.Binary, Size: 32, InFlight: 1},
		})
	}
	return all
}
