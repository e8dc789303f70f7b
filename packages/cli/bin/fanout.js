#!/usr/bin/env node
// Written for Nodes of long ago, so that they too can say what is missing.
"use strict"

var version = process.versions.node
if (Number(version.split(".")[0]) < 24) {
  process.stderr.write(
    "fanout needs Node.js 24 or newer; this is v" + version + ". Install it from https://nodejs.org, " +
      "or run it with: npx -p node@24 fanout …\n"
  )
  process.exitCode = 2
} else {
  // libuv reads it once, before its first file call, and serves four calls at a time unless told otherwise.
  if (!process.env.UV_THREADPOOL_SIZE) process.env.UV_THREADPOOL_SIZE = "16"
  void import("../dist/fanout.js")
}
