/**
 * What a thread of the command runs.
 */
import * as FileThread from "@fanout/ops/FileThread"

FileThread.run()
