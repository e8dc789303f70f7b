import * as path from "node:path"

/** What starts the command, as users have it; it is bundled before the tests that start it. */
export const command = [process.execPath, path.join(import.meta.dirname, "../bin/fanout.js")] as const
