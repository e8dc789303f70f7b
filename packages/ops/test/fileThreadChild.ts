import * as FileThread from "@fanout/ops/FileThread"

// What an application has a bundler make a second file of.
FileThread.run()
