/**
 * How a process takes part in a cluster: its address, the secret or certificates, and the folders that all see.
 */
import type { ClusterSecurity } from "@fanout/core/cluster"
import * as FilePath from "@fanout/ops/FilePath"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import { isIPv6 } from "node:net"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import * as Arguments from "./Arguments.ts"
import { type Database, whyNotTrusted } from "./Database.ts"
import * as Settings from "./Settings.ts"

/** How a process takes part in a cluster. */
export interface Membership {
  /** Address under which other processes reach this one. */
  readonly host: string
  readonly port: number
  readonly security: ClusterSecurity
  /** Real paths of folders that all machines see. */
  readonly shared: ReadonlyArray<FilePath.FilePath>
}

/** Port of a process of a cluster. */
const usualPort = 7433

/** `--cluster HOST[:PORT]` and `--shared DIR` */
export const flags = {
  cluster: Flag.String("cluster").pipe(
    Flag.withMetavar("HOST[:PORT]"),
    Flag.withDescription(
      "Run tasks of all processes of the cluster, and have them run those of jobs here. Others reach this process " +
        `under this address (default port: ${usualPort}); FANOUT_CLUSTER_SECRET_FILE names a file with the secret`
    ),
    Flag.optional
  ),
  shared: Settings.pathFlag(
    "shared",
    "DIR",
    "Folder that all machines of the cluster see at this path, besides what is on a network file system " +
      "(default: those in FANOUT_SHARED, with colons between)"
  ).pipe(Flag.atLeast(0))
}

/** Shortest secret, in characters. */
const leastSecret = 32

const secretHelp = "`openssl rand -base64 32` prints one"

const setIn = (env: NodeJS.ProcessEnv, name: string): string | undefined => {
  const value = env[name] ?? ""
  return value === "" ? undefined : value
}

const readNamed = Effect.fnUntraced(function*(name: string, file: string) {
  const why = whyNotTrusted(Arguments.absolute(FilePath.make(file)))
  if (why !== undefined) {
    return yield* Stop.exposed(
      `Root takes no secret that others can change, and ${why}. ${name} has to name a file of root's alone.`
    )
  }
  return yield* Effect.try({
    try: () => fs.readFileSync(file, "utf8"),
    catch: (error) => {
      const { sentence } = Stop.fromCall("read", FilePath.make(file))(error)
      return Stop.usage(`${name} names a file that can't be read. ${sentence}`)
    }
  })
})

const certificateNames = ["FANOUT_CLUSTER_CA", "FANOUT_CLUSTER_CERTIFICATE", "FANOUT_CLUSTER_KEY"] as const

const byCertificates = Effect.fnUntraced(function*(env: NodeJS.ProcessEnv) {
  const files = certificateNames.map((name) => [name, setIn(env, name)] as const)
  const texts: Array<string> = []
  for (const [name, file] of files) {
    if (file !== undefined) texts.push(yield* readNamed(name, file))
    else return yield* Stop.usage(`${name} is not set: certificates take all of ${certificateNames.join(", ")}.`)
  }
  const [ca = "", certificate = "", key = ""] = texts
  return { ca, certificate, key: Redacted.make(key) }
})

/** Reads the secret, or the certificates, that all processes of the cluster have. */
export const security = Effect.fnUntraced(function*(
  env: NodeJS.ProcessEnv = Process.current().env
): Effect.fn.Return<ClusterSecurity, Stop.Stop> {
  if (certificateNames.some((name) => setIn(env, name) !== undefined)) return yield* byCertificates(env)
  const file = setIn(env, "FANOUT_CLUSTER_SECRET_FILE")
  const given = setIn(env, "FANOUT_CLUSTER_SECRET")
  const text = file === undefined ? given : yield* readNamed("FANOUT_CLUSTER_SECRET_FILE", file)
  if (text === undefined) {
    return yield* Stop.usage(
      "A cluster needs a secret that all its processes share: name a file with it in FANOUT_CLUSTER_SECRET_FILE, or " +
        `give it in FANOUT_CLUSTER_SECRET. It takes ${leastSecret} random characters: ${secretHelp}.`
    )
  }
  const secret = text.trim()
  if (secret.length >= leastSecret) return { secret: Redacted.make(secret) }
  return yield* Stop.usage(
    `The secret of the cluster has ${secret.length} characters. It takes at least ${leastSecret}: ${secretHelp}.`
  )
})

const isThisMachine = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(?:\.\d+){3}$/.test(host)

const addressOf = (text: string): { readonly host: string; readonly port: number } | undefined => {
  if (isIPv6(text)) return { host: text, port: usualPort }
  const [, bracketed, plain, digits] = /^(?:\[([\da-f:.]+)\]|([^\s:/[\]]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
  const host = bracketed ?? plain
  const port = digits === undefined ? usualPort : Number(digits)
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port }
}

const sharedFolders = (given: ReadonlyArray<FilePath.FilePath>, env: NodeJS.ProcessEnv) => {
  const named = given.length > 0
    ? given
    : (setIn(env, "FANOUT_SHARED") ?? "").split(":").filter((text) => text !== "").map(FilePath.make)
  return Effect.forEach(named, (path) =>
    Effect.suspend(() => {
      const folder = Arguments.realPath(Arguments.absolute(path))
      return fs.statSync(Buffer.from(FilePath.toBytes(folder)), { throwIfNoEntry: false })?.isDirectory() === true
        ? Effect.succeed(folder)
        : Effect.fail(Stop.usage(`The shared folder "${FilePath.display(path)}" is not there.`))
    }))
}

/** How this process takes part in a cluster; `undefined` if it does not. */
export const membership = Effect.fnUntraced(function*(
  given: { readonly cluster: Option.Option<string>; readonly shared: ReadonlyArray<FilePath.FilePath> },
  { server }: Database,
  env: NodeJS.ProcessEnv = Process.current().env
): Effect.fn.Return<Membership | undefined, Stop.Stop> {
  const text = Option.getOrUndefined(given.cluster)
  if (text === undefined) {
    if (given.shared.length === 0) return undefined
    return yield* Stop.usage("--shared is for a process of a cluster: give --cluster HOST, too.")
  }
  const address = addressOf(text)
  if (address === undefined) {
    return yield* Stop.usage(`--cluster takes a name or an address, and a port if need be: nas.local:${usualPort}.`)
  }
  if (server === undefined && !isThisMachine(address.host)) {
    return yield* Stop.usage(
      `Processes on other machines can't read the SQLite file of the jobs, so ${address.host} does not do. Name a ` +
        "Postgres server with --db postgres://USER@HOST/NAME, or give --cluster localhost."
    )
  }
  return { ...address, security: yield* security(env), shared: yield* sharedFolders(given.shared, env) }
})

/** Address to listen at: only this machine's own where others need no other. */
export const listenAt = ({ host }: Membership): string =>
  isThisMachine(host) ? host : host.includes(":") ? "::" : "0.0.0.0"

/** Writes an address as `--cluster` takes it. */
export const addressText = ({ host, port }: Pick<Membership, "host" | "port">): string =>
  `${isIPv6(host) ? `[${host}]` : host}:${port}`

/** How a process is called that takes part in a cluster. */
export const asMember = (membership: Membership | undefined): string =>
  membership === undefined ? "" : ` as ${addressText(membership)} of a cluster`
