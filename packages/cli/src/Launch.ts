/**
 * Starts the command. What only asks for the version loads nothing else.
 */
import { existsSync, readFileSync } from "node:fs"
import type * as Invocation from "./Invocation.ts"
import { version } from "./Package.ts"

/** Starts the command, which is loaded if it is needed. */
export const launch = async (load: () => Promise<typeof Invocation>): Promise<void> => {
  // libuv reads the number of its threads once, before its first file call, so it can't wait for the arguments' parser.
  // Where other machines or programs answer for files, as many calls may be under way as such files are worked on.
  const mounts = existsSync("/proc/self/mountinfo") ? readFileSync("/proc/self/mountinfo", "latin1") : ""
  const atOnce = / - (?:nfs4?|cifs|smb3|9p|ceph|fuse(?:\.\S+)?) /.test(mounts) ? 128 : 16
  const concurrency = Number(/ --concurrency[ =](\d{1,4})\b/.exec(process.argv.join(" "))?.[1] ?? atOnce)
  process.env["UV_THREADPOOL_SIZE"] ||= String(Math.min(Math.max(concurrency, 4), 128))

  if (process.argv.length === 3 && (process.argv[2] === "--version" || process.argv[2] === "-v")) {
    process.stdout.write(`fanout v${version}\n`)
  } else {
    const { main } = await load()
    main()
  }
}
