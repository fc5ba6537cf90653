package main

import "time"

// keepAlive is how often an idle connection of a peer says that it is there,
// where that is ours to set. TCP has the 15 s of package net.
const keepAlive = 15 * time.Second
