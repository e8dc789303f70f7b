import * as PgClient from "@effect/sql-pg/PgClient"
import type * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { serverOfRun } from "../../../test/serversOfRun.ts"
import { programs, startPostgres, unprivileged } from "./postgresProcess.ts"

/** A database of a server, and the folder of that server with its socket. */
export class PostgresDatabase {
  readonly folder: string
  readonly config: PgClient.PgPoolConfig & { readonly database: string }
  private schemas = 0

  protected constructor(folder: string, database: string) {
    this.folder = folder
    this.config = { host: folder, username: "fanout", database }
  }

  /** A new database of the server that all files of tests share: what sessions of another file do is not seen here. */
  static async open(): Promise<PostgresDatabase> {
    const folder = await serverOfRun<string>("postgres")
    const name = `test_${crypto.randomUUID().replaceAll("-", "")}`
    await new PostgresDatabase(folder, "postgres").run(`create database ${name}`)
    return new PostgresDatabase(folder, name)
  }

  /** What connects with these settings, as the command is told it. */
  addressOf({ startupParameters = {} }: PgClient.PgPoolConfig): string {
    const options = encodeURIComponent(`-c search_path=${startupParameters["search_path"]}`)
    const { database } = this.config
    return `postgres:///${database}?user=fanout&host=${encodeURIComponent(this.folder)}&options=${options}`
  }

  client(options: PgClient.PgPoolConfig = {}): Layer.Layer<SqlClient, SqlError> {
    return Layer.fresh(PgClient.layer({ ...this.config, ...options }))
  }

  private run(statement: string) {
    return Effect.runPromise(Effect.provide(
      SqlClient.use((sql) => sql.unsafe(statement)),
      this.client({ maxConnections: 1 }),
      { local: true }
    ))
  }

  /** Makes a schema; what connects with these settings sees it alone. */
  readonly schema: Effect.Effect<PgClient.PgPoolConfig> = Effect.suspend(() => {
    const name = `test_${++this.schemas}`
    return Effect.as(
      Effect.promise(() => this.run(`create schema ${name}`)),
      { ...this.config, maxConnections: 4, startupParameters: { search_path: name } }
    )
  })

  /** An empty store. */
  readonly emptyStore: Layer.Layer<JobStore.JobStore, JobStoreError | SqlError> = Layer.unwrap(
    Effect.map(this.schema, (config) => Layer.provide(Layer.fresh(SqlJobStore.layer), PgClient.layer(config)))
  )
}

/** A server for one user alone. */
export class PostgresServer extends PostgresDatabase {
  private readonly stopping: () => Promise<unknown>

  private constructor(folder: string, stop: () => Promise<unknown>) {
    super(folder, "postgres")
    this.stopping = stop
  }

  static async start(): Promise<PostgresServer> {
    const { at, stop } = await startPostgres()
    return new PostgresServer(at, stop)
  }

  static readonly scoped = Effect.acquireRelease(
    Effect.promise(() => PostgresServer.start()),
    (server) => Effect.promise(() => server.stop())
  )

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
}
