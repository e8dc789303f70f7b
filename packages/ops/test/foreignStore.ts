import { once } from "node:events"
import * as fs from "node:fs"
import { createServer } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { isLong } from "../../../test/effort.ts"
import { startWatched } from "../../../test/watchedServer.ts"
import type { Difference } from "./objectStoreContract.ts"
import type { S3Endpoint } from "./s3Endpoint.ts"

/** How a service is started that others have made. */
interface Recipe {
  readonly name: string
  /** Programs that it is made of. */
  readonly programs: ReadonlyArray<string>
  readonly keys: Pick<S3Endpoint, "accessKeyId" | "secretAccessKey">
  /** How many ports it needs besides that of the service. */
  readonly ports?: number
  /** Files in its folder, by their names. */
  readonly files?: (
    at: { readonly folder: string; readonly port: number; readonly ports: ReadonlyArray<number> }
  ) => Readonly<Record<string, string>>
  /**
   * Commands of a shell that start it in its folder, which is the present one. `$1` is the port of the service, `$2`
   * its access key, `$3` the secret, and behind these are the other ports. What runs on has its process id in a file
   * `*.pid`.
   */
  readonly script: string
  /** Whether tests of it are for long runs alone. */
  readonly isForLongRuns?: boolean
  readonly differences?: ReadonlyArray<Difference>
}

/** A service that is running. */
export interface RunningStore {
  readonly service: S3Endpoint
  readonly stop: () => Promise<unknown>
}

/** A service that others have made, each in a temporary folder with everything that it needs. */
export interface ForeignStore {
  readonly name: string
  /** Whether tests with it are skipped here. */
  readonly isMissing: boolean
  readonly differences: ReadonlyArray<Difference>
  readonly start: () => Promise<RunningStore>
}

const folders = (process.env["PATH"] ?? "").split(path.delimiter)
const isInstalled = (program: string): boolean => folders.some((folder) => fs.existsSync(path.join(folder, program)))

/** Names of the services that must be there. */
const required = (process.env["FANOUT_STORES"] ?? "").toLowerCase().split(" ")

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (typeof address !== "object" || address === null) throw new Error("there is no free port")
  return address.port
}

// Ends with the process that has started it, however that ends: its standard input is closed then.
const around = (script: string): string => `
  trap '' INT TERM HUP
  cd "$1"
  shift
  start() {
    set -e
    ${script}
  }
  if (start "$@") >script.log 2>&1; then echo started; else cat *.log; echo failed; fi
  cat >/dev/null
  for file in *.pid; do kill -9 "$(cat "$file")"; done 2>/dev/null
  rm -rf "$PWD"
`

/** Waits until a service answers, whatever that is. */
const answering = async (endpoint: string): Promise<void> => {
  for (const until = Date.now() + 60_000;;) {
    const isAnswering = await fetch(endpoint).then(() => true, () => false)
    if (isAnswering) return
    if (Date.now() > until) throw new Error(`${endpoint} does not answer`)
  }
}

/** Makes a service by its recipe. */
export const foreignStore = (
  { differences = [], files = () => ({}), isForLongRuns = false, keys, name, ports: count = 0, programs, script }:
    Recipe
): ForeignStore => ({
  name,
  differences,
  isMissing: !required.includes(name.toLowerCase()) && (!programs.every(isInstalled) || (isForLongRuns && !isLong)),
  start: async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), `fanout-${name.toLowerCase()}-`))
    const [port = 0, ...ports] = await Promise.all(Array.from({ length: count + 1 }, freePort))
    for (const [file, content] of Object.entries(files({ folder, port, ports }))) {
      fs.writeFileSync(path.join(folder, file), content)
    }
    const service = { endpoint: `http://127.0.0.1:${port}`, ...keys }
    const args = [folder, String(port), keys.accessKeyId, keys.secretAccessKey, ...ports.map(String)]
    const stop = await startWatched(around(script), args)
    try {
      await answering(service.endpoint)
    } catch (error) {
      await stop()
      throw error
    }
    return { service, stop }
  }
})
