/**
 * Keeps jobs on a Postgres server.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import type { JobStore } from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { SqlClient } from "effect/sql/SqlClient"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import * as fs from "node:fs"
import { homedir, userInfo } from "node:os"
import * as Process from "./host/Process.ts"
import * as format from "./ui/format.ts"
import { complain } from "./ui/View.ts"

/** What a line of a password file is looked up by. */
interface Login {
  readonly host: string
  readonly port: string
  readonly database: string
  readonly user: string
}

/** Fields of a line of a password file; a colon or a backslash in one has a backslash before it. */
const fieldsOf = (line: string): ReadonlyArray<string> =>
  Array.from(line.matchAll(/((?:\\.|[^:\\])*)(?::|$)/g), ([, field = ""]) => field.replaceAll(/\\(.)/g, "$1"))

/**
 * Finds the password of a login in the text of a password file: that of the first line whose host, port, database and
 * user are those, or `*`.
 *
 * @see https://www.postgresql.org/docs/current/libpq-pgpass.html
 */
export const passwordIn = (text: string, { database, host, port, user }: Login): string | undefined => {
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue
    const [ofHost, ofPort, ofDatabase, ofUser, password] = fieldsOf(line)
    const pairs = [[ofHost, host], [ofPort, port], [ofDatabase, database], [ofUser, user]]
    if (password !== undefined && pairs.every(([field, wanted]) => field === "*" || field === wanted)) return password
  }
  return undefined
}

/** Text of the password file. As with other programs, a file that others may read counts as missing. */
const passwordFile = ({ PGPASSFILE: own = "" }: NodeJS.ProcessEnv): string => {
  const file = own === "" ? `${homedir()}/.pgpass` : own
  try {
    return (fs.statSync(file).mode & 0o077) === 0 ? fs.readFileSync(file, "utf8") : ""
  } catch {
    return ""
  }
}

/** The settings of the connection: those of the address, and the password from where it need not be shown. */
const configOf = (server: URL, env: NodeJS.ProcessEnv): PgClient.PgPoolConfig => {
  const { PGPASSWORD: given = "", PGUSER: usual = "" } = env
  const [asked, own] = [server.searchParams.get("user"), decodeURIComponent(server.username)]
  const user = [asked ?? "", own, usual].find((name) => name !== "") ?? userInfo().username
  const database = server.searchParams.get("dbname") ?? decodeURIComponent(server.pathname.slice(1))
  const login = {
    host: server.searchParams.get("host") ??
      (server.hostname === "" ? "localhost" : server.hostname.replace(/^\[(.*)\]$/, "$1")),
    port: server.searchParams.get("port") ?? (server.port === "" ? "5432" : server.port),
    database: database === "" ? user : database,
    user
  }
  const isGiven = server.password !== "" || server.searchParams.has("password")
  const password = isGiven ? undefined : given === "" ? passwordIn(passwordFile(env), login) : given
  return {
    url: Redacted.make(server.href),
    username: user,
    ...password === undefined ? {} : { password: Redacted.make(password) },
    applicationName: "fanout",
    connectTimeout: "10 seconds",
    keepAlive: "30 seconds",
    maxConnections: 4,
    startupParameters: { lock_timeout: "10s" }
  }
}

/** Most seconds that a server is waited for which is starting, or whose network is. */
const patienceSeconds = 10

/** Codes of what passes while a server or a network starts. All else is told at once. */
const passing: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
  // There is no socket yet.
  "ENOENT",
  // The server is starting, or has as many connections as it takes.
  "57P03",
  "53300"
])

const codeOf = ({ reason: { cause } }: SqlError): string =>
  Predicate.hasProperty(cause, "code") ? String(cause.code) : ""

const problemOf = (error: SqlError): StorageFailure["problem"] => {
  const [code, { _tag }] = [codeOf(error), error.reason]
  if (_tag === "AuthenticationError") return "Denied"
  if (code === "3D000") return "Missing"
  return _tag === "ConnectionError" || passing.has(code) ? "Unreachable" : "Other"
}

const storeError = (error: SqlError): JobStoreError =>
  new JobStoreError({
    reason: new StorageFailure({ operation: "connect", problem: problemOf(error), cause: error.reason.cause })
  })

/** Makes the first connection. Who waits for it for more than a moment is told so. */
const connect = ({ reserve }: SqlClient, shown: string) =>
  Effect.suspend(() => {
    let latest = new SqlError({ reason: new ConnectionError({ cause: new Error("it does not answer") }) })
    const attempt = Effect.tapError(Effect.scoped(reserve), (error) =>
      Effect.sync(() => {
        latest = error
      }))
    const told = Effect.suspend(() =>
      complain(format.printable(`${storeError(latest).message} (${shown}). Trying for ${patienceSeconds} seconds.`))
    )
    return attempt.pipe(
      Effect.retry({ schedule: Schedule.spaced("250 millis"), while: (error) => passing.has(codeOf(error)) }),
      Effect.timeoutOrElse({ duration: Duration.seconds(patienceSeconds), orElse: () => Effect.fail(latest) }),
      Effect.raceFirst(Effect.andThen(Effect.delay(told, "600 millis"), Effect.never))
    )
  })

/** Layer that connects to the database that an address names. People are told of it as `shown`. */
export const layerClient = (server: Redacted.Redacted<URL>, shown: string): Layer.Layer<SqlClient, JobStoreError> =>
  Layer.suspend(() => {
    const client = Effect.tap(
      PgClient.make(configOf(Redacted.value(server), Process.current().env)),
      (client) => connect(client, shown)
    )
    return PgClient.layerFrom(Effect.mapError(client, storeError))
  })

/** Layer that keeps jobs in the database that an address names. People are told of it as `shown`. */
export const layer = (server: Redacted.Redacted<URL>, shown: string): Layer.Layer<JobStore, JobStoreError> =>
  Layer.provide(SqlJobStore.layer, layerClient(server, shown))
