import * as PgClient from "@effect/sql-pg/PgClient"
import type * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { startWatched } from "../../../test/watchedServer.ts"

const isInstalled = (folder: string) =>
  ["initdb", "pg_ctl", "postgres"].every((name) => fs.existsSync(path.join(folder, name)))

/** Folder with the programs of a Postgres server; undefined where none is installed. */
export const programs: string | undefined = [
  ...(process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== ""),
  ...fs.globSync("/usr/lib/postgresql/*/bin").toSorted().toReversed()
].find((folder) => isInstalled(folder))

/** Postgres refuses to run as root. */
const unprivileged = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

// Ends with the process that has started it, however that ends: its standard input is closed then.
const script = `
  trap '' INT TERM HUP
  cd "$1" && PATH="$2:$PATH"
  initdb -D data -U fanout -A trust -E UTF8 --locale=C --no-sync >log 2>&1 &&
    printf '%s\\n' "listen_addresses = ''" "unix_socket_directories = '$1'" "fsync = off" \\
      "autovacuum = off" "deadlock_timeout = '100ms'" >>data/postgresql.conf &&
    pg_ctl -D data -l log -w start >/dev/null && echo started || { cat log; echo failed; }
  cat >/dev/null
  pg_ctl -D data -m immediate -w stop >/dev/null 2>&1
  rm -rf "$1"
`

/** A server in a temporary folder, reached through a socket there. */
export class PostgresServer {
  readonly folder: string
  readonly config: PgClient.PgPoolConfig
  private readonly stopping: () => Promise<unknown>
  private schemas = 0

  private constructor(folder: string, stop: () => Promise<unknown>) {
    this.folder = folder
    this.config = { host: folder, username: "fanout", database: "postgres" }
    this.stopping = stop
  }

  static async start(): Promise<PostgresServer> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-pg-"))
    if (unprivileged.uid !== undefined) fs.chownSync(folder, unprivileged.uid, unprivileged.gid)
    return new PostgresServer(folder, await startWatched(script, [folder, programs ?? ""], unprivileged))
  }

  async stop(): Promise<void> {
    await this.stopping()
  }

  /** Ends all connections and takes no more, until `resume`. */
  halt(): void {
    this.control("-m", "fast", "stop")
  }

  resume(): void {
    this.control("-l", path.join(this.folder, "log"), "start")
  }

  private control(...args: ReadonlyArray<string>): void {
    const { status } = spawnSync(
      path.join(programs ?? "", "pg_ctl"),
      ["-D", path.join(this.folder, "data"), "-w", ...args],
      { ...unprivileged, cwd: this.folder, stdio: "ignore" }
    )
    if (status !== 0) throw new Error(`pg_ctl ${args.join(" ")} failed`)
  }

  client(options: PgClient.PgPoolConfig = {}): Layer.Layer<SqlClient, SqlError> {
    return Layer.fresh(PgClient.layer({ ...this.config, ...options }))
  }

  /** Makes a schema; what connects with these settings sees it alone. */
  readonly schema: Effect.Effect<PgClient.PgPoolConfig> = Effect.suspend(() => {
    const name = `test_${++this.schemas}`
    return Effect.as(
      Effect.orDie(Effect.provide(
        Effect.flatMap(SqlClient, (sql) => sql.unsafe(`create schema ${name}`)),
        this.client({ maxConnections: 1 }),
        { local: true }
      )),
      { ...this.config, maxConnections: 4, startupParameters: { search_path: name } }
    )
  })

  /** An empty store. */
  readonly emptyStore: Layer.Layer<JobStore.JobStore, JobStoreError | SqlError> = Layer.unwrap(
    Effect.map(this.schema, (config) => Layer.provide(Layer.fresh(SqlJobStore.layer), PgClient.layer(config)))
  )
}
