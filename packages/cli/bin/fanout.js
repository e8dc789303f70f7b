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
  module.exports = require("../dist/fanout.cjs")
}
