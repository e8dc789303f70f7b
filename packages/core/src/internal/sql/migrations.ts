/**
 * The tables of a job store, as numbered changes.
 *
 * All names begin with `fanout_`, so that a store can share a database with an application. A released change is never
 * edited. A later change of the tables is added as a new one, which raises the number of the schema.
 *
 * **`fanout_store`**: one row with a random `id`. Two connections that find the same id use the same database.
 *
 * **`fanout_jobs`**: one row for each job. The row is small, because every heartbeat writes the whole row.
 *
 * | column | what it holds |
 * | --- | --- |
 * | `seq` | place among all jobs, in the order in which they were stored |
 * | `id`, `name`, `version` | the job and the program that it runs |
 * | `idempotency_key`, `exclusive_key` | unique among the active jobs of one name |
 * | `parent_id`, `parent_name`, `parent` | the job's parent, the job's name in the parent, and `Parent` as JSON |
 * | `active_parent` | `parent_id` while the job is active |
 * | `tags` | the job's tags, as JSON |
 * | `scheduled` | the schedule and the tick that started the job, as JSON |
 * | `schedule` | the name of the schedule that started the job |
 * | `priority` | jobs of higher priority are claimed first, and their tasks run first |
 * | `limits` | the most that the job may use, as JSON |
 * | `tag`, `state` | name of the state, and the whole state as JSON |
 * | `exit` | how the program ended, as JSON |
 * | `request` | request to the job's owner |
 * | `lease_token`, `lease` | the owner's token, and token and owner as JSON; no other token can write |
 * | `token` | highest token of all owners so far |
 * | `owners_lost` | successive owners that were lost before they stored a row or changed a checkpoint |
 * | `created_at`, `updated_at`, `available_at`, `finished_at` | milliseconds since the epoch |
 * | `revision` | raised by each change of the columns above; compared before each change |
 * | `beat` | raised by each renewal of the lease |
 * | `progress` | the job's progress, as JSON |
 *
 * **`fanout_payloads`**: `job_id` and the job's `payload` as JSON. Payloads have a table of their own: a payload can be
 * large, and never changes while the job runs.
 *
 * **`fanout_tags`**: one row for each `tag` of a job, by `job_id`.
 *
 * **`fanout_checkpoints`**: the `checkpoint` of each fan-out of a job, by the fan-out's `name`.
 * **`fanout_own_checkpoints`**: the `checkpoint`s of the job's own program, by `name`.
 *
 * **`fanout_outcomes`**: one row for each stored ending of an element.
 *
 * | column | what it holds |
 * | --- | --- |
 * | `seq` | order in which endings were recorded; a row that replaces another row gets a new `seq` |
 * | `job_id`, `fan_out`, `cursor` | the element; unique |
 * | `key` | the element's name for people |
 * | `tag`, `outcome` | `Done`, `Skipped` or `Failed`, and the whole ending as JSON |
 * | `cause` | what counts as the cause of a failure |
 * | `payload`, `origin` | the data that a retry needs, as JSON |
 * | `attempt`, `at` | attempt of the job, and time of the recording |
 *
 * **`fanout_logs`**: the newest lines of each job's log: `seq`, `job_id`, `at`, `level`, `message`.
 *
 * **`fanout_schedules`**: one row for each schedule, by `name`: the name of the `job`, the time of the next tick
 * (`next_at`), a `revision` that each change raises, and the whole `schedule` as JSON.
 *
 * **`fanout_rates`**: one row for each rate, by `name`: the turns `per_second`, and the time from which on no turn is
 * taken (`free_at`, in milliseconds since the epoch, on Postgres by the clock of the server).
 *
 * **`fanout_concurrencies`**: one row for each limited `name` of jobs: how many run at once at `most`.
 *
 * **`fanout_claimers`**: one row for each process that claims jobs: its `owner` as JSON, the `names` of its jobs as
 * JSON, its `places`, and the time `until` which the row holds, by the clock of `free_at`.
 *
 * **`fanout_histories`**: the `history` of each job that has one, as JSON.
 *
 * **`fanout_job_tasks`**: how long the `tasks` of each job waited and ran, and how its process uses pools, as JSON.
 *
 * **`fanout_pruned`**: ids of removed jobs that may still have checkpoints, outcomes or lines of a log.
 *
 * There are no foreign keys, which would be checked for each row. A transaction that writes rows of a job has found the
 * job's row in `fanout_jobs` before.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Migrator from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Scheduled } from "../../JobRecord.ts"
import { fromText, toText } from "../store/rows.ts"
import * as Dialect from "./dialect.ts"

/** The table in which `Migrator` records the changes that a database has. */
export const table = "fanout_migrations"

type Statements = ReadonlyArray<Effect.Effect<unknown, SqlError>>

/** A change that runs statements one after the other. */
const change = (statements: (sql: SqlClient, dialect: Dialect.Dialect) => Statements) =>
  Effect.flatMap(SqlClient, (sql) => Effect.all(statements(sql, Dialect.of(sql)), { discard: true }))

const jobs = change((sql, { freshId, indexed, integer, real, seq, tableSuffix, text }) => [
  sql`create table fanout_store (id ${text} not null primary key) ${tableSuffix}`,
  sql`insert into fanout_store (id) values (${freshId})`,
  sql`create table fanout_jobs (
    seq ${seq},
    id ${text} not null unique,
    name ${text} not null,
    version ${integer} not null,
    idempotency_key ${text},
    exclusive_key ${text},
    priority ${integer} not null,
    tag ${text} not null,
    state ${text} not null,
    exit ${text},
    request ${text},
    lease_token ${integer},
    lease ${text},
    token ${integer} not null,
    owners_lost ${integer} not null,
    created_at ${real} not null,
    updated_at ${real} not null,
    available_at ${real} not null,
    finished_at ${real},
    revision ${integer} not null,
    beat ${integer} not null default 0,
    progress ${text} not null
  ) ${tableSuffix}`,
  ...["idempotency", "exclusive"].map((key) =>
    sql`create unique index ${sql.literal(`fanout_jobs_${key}`)} on fanout_jobs
      (name, ${indexed(sql.literal(`${key}_key`))})
      where tag in ('Queued', 'Running', 'Paused')`
  ),
  sql`create index fanout_jobs_newest on fanout_jobs (tag, created_at, seq)`,
  sql`create table fanout_payloads (
    job_id ${text} not null primary key,
    payload ${text} not null
  ) ${tableSuffix}`
])

const checkpointTable = (sql: SqlClient, { tableSuffix, text }: Dialect.Dialect, table: string) =>
  sql`create table ${sql.literal(table)} (
    job_id ${text} not null,
    name ${text} not null,
    checkpoint ${text} not null,
    primary key (job_id, name)
  ) ${tableSuffix}`

const belongings = change((sql, dialect) => {
  const { indexed, integer, real, seq, tableSuffix, text } = dialect
  return [
    checkpointTable(sql, dialect, "fanout_checkpoints"),
    sql`create table fanout_outcomes (
      seq ${seq},
      job_id ${text} not null,
      fan_out ${text} not null,
      cursor ${text} not null,
      key ${text} not null,
      tag ${text} not null,
      payload ${text} not null,
      origin ${text} not null,
      outcome ${text} not null,
      attempt ${integer} not null,
      at ${real} not null
    ) ${tableSuffix}`,
    sql`create unique index fanout_outcomes_element on fanout_outcomes
      (job_id, fan_out, ${indexed(sql.literal("cursor"))})`,
    sql`create index fanout_outcomes_recorded on fanout_outcomes (job_id, tag, seq)`,
    sql`create table fanout_logs (
      seq ${seq},
      job_id ${text} not null,
      at ${real} not null,
      level ${text} not null,
      message ${text} not null
    ) ${tableSuffix}`,
    sql`create index fanout_logs_lines on fanout_logs (job_id, seq)`,
    sql`create table fanout_pruned (job_id ${text} not null primary key) ${tableSuffix}`
  ]
})

/** Moves the checkpoints of programs to a table of their own, where no name can be the name of a fan-out. */
const ownCheckpoints = Effect.gen(function*() {
  const sql = yield* SqlClient
  yield* checkpointTable(sql, Dialect.of(sql), "fanout_own_checkpoints")
  const found = yield* sql<{ readonly job_id: string; readonly name: string; readonly checkpoint: string }>`
    select job_id, name, checkpoint from fanout_checkpoints where name like '%checkpoint:%'`
  const prefix = "checkpoint:"
  for (const { checkpoint, job_id, name } of found) {
    // Only the checkpoint of a program has a value.
    if (!fromText(name).startsWith(prefix) || !("value" in JSON.parse(fromText(checkpoint)))) continue
    const own = { job_id, name: toText(fromText(name).slice(prefix.length)), checkpoint }
    yield* sql`insert into fanout_own_checkpoints ${sql.insert(own)}`
    yield* sql`delete from fanout_checkpoints where job_id = ${job_id} and name = ${name}`
  }
})

const scheduleOf = (scheduled: string): string | undefined => {
  const { schedule }: Partial<typeof Scheduled.Type> = JSON.parse(scheduled)
  return schedule
}

/** Jobs by the schedules that have started them. */
const jobsOfSchedules = Effect.gen(function*() {
  const sql = yield* SqlClient
  const { indexed, text } = Dialect.of(sql)
  yield* sql`alter table fanout_jobs add column schedule ${text}`
  yield* sql`create index fanout_jobs_scheduled on fanout_jobs (${indexed(sql.literal("schedule"))}, created_at, seq)
    where schedule is not null`
  const found = yield* sql<{ readonly id: string; readonly scheduled: string }>`
    select id, scheduled from fanout_jobs where scheduled is not null`
  for (const { id, scheduled } of found) {
    // A row that something has damaged is left to those who read it.
    const schedule = Option.getOrUndefined(Option.liftThrowable(scheduleOf)(scheduled))
    if (schedule !== undefined) {
      yield* sql`update fanout_jobs set schedule = ${toText(schedule)} where id = ${id}`
    }
  }
})

const changes = {
  "1_initial": Effect.andThen(jobs, belongings),
  // An index by kind, so that a search for work does not read every queued job.
  "2_queue": change((sql, { constant }) => [
    sql`create index fanout_jobs_queue on fanout_jobs
      (${constant("tag")} name, version, priority desc, created_at, seq, available_at)
      where tag = 'Queued'`
  ]),
  "3_own_checkpoints": ownCheckpoints,
  "4_limits": change((sql, { text }) => [
    sql`alter table fanout_jobs add column limits ${text} not null default '{}'`
  ]),
  // Indexes of children: by name, by state, and by active parent.
  "5_children": change((sql, { indexed, text }) => [
    ...["parent_id", "parent_name", "parent", "active_parent"].map((column) =>
      sql`alter table fanout_jobs add column ${sql.literal(column)} ${text}`
    ),
    sql`create unique index fanout_jobs_child on fanout_jobs
      (parent_id, ${indexed(sql.literal("parent_name"))})
      where parent_id is not null and tag <> 'Cancelled'`,
    sql`create index fanout_jobs_children on fanout_jobs (parent_id, tag, priority desc, created_at, seq)
      where parent_id is not null`,
    sql`create index fanout_jobs_parents on fanout_jobs (active_parent, tag) where active_parent is not null`
  ]),
  "6_schedules": change((sql, { integer, real, tableSuffix, text }) => [
    sql`create table fanout_schedules (
      name ${text} not null primary key,
      job ${text} not null,
      next_at ${real} not null,
      revision ${integer} not null,
      schedule ${text} not null
    ) ${tableSuffix}`,
    sql`create index fanout_schedules_due on fanout_schedules (next_at, name)`
  ]),
  // An index of the jobs to clean up after, so that the search for them does not read every queued job.
  "7_clean_ups": change((sql) => [
    sql`create index fanout_jobs_to_cancel on fanout_jobs (priority desc, created_at, seq)
      where tag = 'Queued' and request = 'Cancel'`
  ]),
  // An index of all jobs by their key: the index of the active jobs does not find a job that is over.
  "8_keys": change((sql, { indexed }) => [
    sql`create index fanout_jobs_keys on fanout_jobs (name, ${indexed(sql.literal("idempotency_key"))})
      where idempotency_key is not null`
  ]),
  "9_tags": change((sql, { tableSuffix, text }) => [
    sql`alter table fanout_jobs add column tags ${text} not null default '[]'`,
    sql`alter table fanout_jobs add column scheduled ${text}`,
    sql`create table fanout_tags (
      tag ${text} not null,
      job_id ${text} not null,
      primary key (tag, job_id)
    ) ${tableSuffix}`,
    sql`create index fanout_tags_jobs on fanout_tags (job_id)`
  ]),
  "10_rates": change((sql, { real, tableSuffix, text }) => [
    sql`create table fanout_rates (
      name ${text} not null primary key,
      per_second ${real} not null,
      free_at ${real} not null
    ) ${tableSuffix}`
  ]),
  "11_histories": change((sql, { tableSuffix, text }) => [
    sql`create table fanout_histories (
      job_id ${text} not null primary key,
      history ${text} not null
    ) ${tableSuffix}`
  ]),
  "12_causes": change((sql, { indexed, text }) => [
    sql`alter table fanout_outcomes add column cause ${text}`,
    sql`create index fanout_outcomes_causes on fanout_outcomes (job_id, ${indexed(sql.literal("cause"))}, seq)
      where cause is not null`
  ]),
  "13_jobs_of_schedules": jobsOfSchedules,
  "14_job_tasks": change((sql, { tableSuffix, text }) => [
    sql`create table fanout_job_tasks (
      job_id ${text} not null primary key,
      tasks ${text} not null
    ) ${tableSuffix}`
  ]),
  "16_claims": change((sql, { integer, real, tableSuffix, text }) => [
    sql`create table fanout_concurrencies (
      name ${text} not null primary key,
      most ${integer} not null
    ) ${tableSuffix}`,
    sql`create table fanout_claimers (
      owner ${text} not null primary key,
      names ${text} not null,
      places ${integer} not null,
      until ${real} not null
    ) ${tableSuffix}`
  ])
}

/** Number of the schema that this version writes. */
export const supported = Math.max(...Object.keys(changes).map((name) => Number.parseInt(name, 10)))

export const loader: Migrator.Loader = Migrator.fromRecord(changes)
