//go:build tools

// Package tools names what the lab builds of etcd, so that go.mod and go.sum pin it.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
)
