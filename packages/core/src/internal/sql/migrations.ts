/**
 * The tables of a job store, as numbered changes.
 *
 * All names begin with `fanout_`, so that a store can share a database with its application. No change is ever
 * edited once it was released: a new one is added, and with it the number of the schema rises.
 *
 * **`fanout_store`**: one row.
 *
 * | column | what it holds |
 * | --- | --- |
 * | `id` | random; proves that two connections look at the same database |
 *
 * **`fanout_jobs`**: one row for each job, small, because every heartbeat writes it anew.
 *
 * | column | what it holds |
 * | --- | --- |
 * | `seq` | place among all jobs, in the order in which they were stored |
 * | `id`, `name`, `version` | the job and the program that it runs |
 * | `idempotency_key`, `exclusive_key` | unique among the active jobs of one name |
 * | `parent_id`, `parent_name`, `parent` | whose child the job is, by what name, and all of it as JSON |
 * | `active_parent` | `parent_id` while the job is active |
 * | `priority` | the higher, the sooner it is claimed, and the more urgent are its tasks |
 * | `limits` | the most that it may use, as JSON |
 * | `tag`, `state` | state: its name, and all of it as JSON |
 * | `exit` | how the program ended, as JSON |
 * | `request` | what somebody asked of the job's owner |
 * | `lease_token`, `lease` | token of the owner, and token and owner as JSON; fences all that an owner writes |
 * | `token` | highest token that any owner has had |
 * | `owners_lost` | owners lost in a row that had stored no row and changed no checkpoint |
 * | `created_at`, `updated_at`, `available_at`, `finished_at` | milliseconds since the epoch |
 * | `revision` | raised by each change of the columns above; compared before each change |
 * | `beat` | raised by each renewal of the lease |
 * | `progress` | what has been done so far, as JSON |
 *
 * **`fanout_payloads`**: `job_id` and the job's `payload` as JSON. Apart, because it can be large and never changes
 * while the job runs.
 *
 * **`fanout_checkpoints`**: the `checkpoint` of each fan-out of a job, by its `name`.
 *
 * **`fanout_own_checkpoints`**: the same for what a job's program keeps of its own.
 *
 * **`fanout_outcomes`**: one row for each ending of an element that is kept.
 *
 * | column | what it holds |
 * | --- | --- |
 * | `seq` | order in which endings were recorded; a row that replaces another gets a new one |
 * | `job_id`, `fan_out`, `cursor` | the element; unique |
 * | `key` | the element's name for people |
 * | `tag`, `outcome` | how it ended: `Done`, `Skipped` or `Failed`, and all of it as JSON |
 * | `payload`, `origin` | what a retry needs, as JSON |
 * | `attempt`, `at` | attempt of the job, and when it was recorded |
 *
 * **`fanout_logs`**: the newest lines of each job's log: `seq`, `job_id`, `at`, `level`, `message`.
 *
 * **`fanout_schedules`**: one row for each schedule, by its `name`: the name of its `job`, when it is due (`next_at`),
 * its `revision`, which each change raises, and all of it as JSON (`schedule`).
 *
 * **`fanout_pruned`**: ids of jobs that are removed, and whose checkpoints, outcomes and log may not all be yet.
 *
 * Rows of a job are written only after its row in `fanout_jobs` was found in the same transaction, so there are no
 * foreign keys to check once more for each of them.
 */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import { fromText, toText } from "../store/rows.ts"
import * as Dialect from "./dialect.ts"

/** The table in which `Migrator` records which changes a database has. */
export const table = "fanout_migrations"

const jobs = Effect.gen(function*() {
  const sql = yield* SqlClient
  const { freshId, indexed, integer, real, seq, tableSuffix, text } = Dialect.of(sql)
  yield* sql`create table fanout_store (id ${text} not null primary key) ${tableSuffix}`
  yield* sql`insert into fanout_store (id) values (${freshId})`
  yield* sql`create table fanout_jobs (
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
  ) ${tableSuffix}`
  yield* sql`create unique index fanout_jobs_idempotency on fanout_jobs
    (name, ${indexed(sql.literal("idempotency_key"))})
    where tag in ('Queued', 'Running', 'Paused')`
  yield* sql`create unique index fanout_jobs_exclusive on fanout_jobs
    (name, ${indexed(sql.literal("exclusive_key"))})
    where tag in ('Queued', 'Running', 'Paused')`
  yield* sql`create index fanout_jobs_newest on fanout_jobs (tag, created_at, seq)`
  yield* sql`create table fanout_payloads (
    job_id ${text} not null primary key,
    payload ${text} not null
  ) ${tableSuffix}`
})

const belongings = Effect.gen(function*() {
  const sql = yield* SqlClient
  const { indexed, integer, real, seq, tableSuffix, text } = Dialect.of(sql)
  yield* sql`create table fanout_checkpoints (
    job_id ${text} not null,
    name ${text} not null,
    checkpoint ${text} not null,
    primary key (job_id, name)
  ) ${tableSuffix}`
  yield* sql`create table fanout_outcomes (
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
  ) ${tableSuffix}`
  yield* sql`create unique index fanout_outcomes_element on fanout_outcomes
    (job_id, fan_out, ${indexed(sql.literal("cursor"))})`
  yield* sql`create index fanout_outcomes_recorded on fanout_outcomes (job_id, tag, seq)`
  yield* sql`create table fanout_logs (
    seq ${seq},
    job_id ${text} not null,
    at ${real} not null,
    level ${text} not null,
    message ${text} not null
  ) ${tableSuffix}`
  yield* sql`create index fanout_logs_lines on fanout_logs (job_id, seq)`
  yield* sql`create table fanout_pruned (job_id ${text} not null primary key) ${tableSuffix}`
})

const initial = Effect.andThen(jobs, belongings)

/** Lets those who look for work find it without looking at all jobs that wait. */
const queue = Effect.flatMap(
  SqlClient,
  (sql) =>
    sql`create index fanout_jobs_queue on fanout_jobs
      (${Dialect.of(sql).constant("tag")} name, version, priority desc, created_at, seq, available_at)
      where tag = 'Queued'`
)

/** Gives the checkpoints of programs a table of their own: a fan-out could have the name that one was kept under. */
const ownCheckpoints = Effect.gen(function*() {
  const sql = yield* SqlClient
  const { tableSuffix, text } = Dialect.of(sql)
  yield* sql`create table fanout_own_checkpoints (
    job_id ${text} not null,
    name ${text} not null,
    checkpoint ${text} not null,
    primary key (job_id, name)
  ) ${tableSuffix}`
  const found = yield* sql<{ readonly job_id: string; readonly name: string; readonly checkpoint: string }>`
    select job_id, name, checkpoint from fanout_checkpoints where name like '%checkpoint:%'`
  const prefix = "checkpoint:"
  for (const { checkpoint, job_id, name } of found) {
    // Only a program's has a value.
    if (!fromText(name).startsWith(prefix) || !("value" in JSON.parse(fromText(checkpoint)))) continue
    const own = { job_id, name: toText(fromText(name).slice(prefix.length)), checkpoint }
    yield* sql`insert into fanout_own_checkpoints ${sql.insert(own)}`
    yield* sql`delete from fanout_checkpoints where job_id = ${job_id} and name = ${name}`
  }
})

/** Lets somebody say how much a job may use, while it runs, too. */
const limits = Effect.flatMap(
  SqlClient,
  (sql) => sql`alter table fanout_jobs add column limits ${Dialect.of(sql).text} not null default '{}'`
)

/** Lets jobs have children, and finds these by their names, by their states, and where something may be due. */
const children = Effect.gen(function*() {
  const sql = yield* SqlClient
  const { indexed, text } = Dialect.of(sql)
  for (const column of ["parent_id", "parent_name", "parent", "active_parent"]) {
    yield* sql`alter table fanout_jobs add column ${sql.literal(column)} ${text}`
  }
  yield* sql`create unique index fanout_jobs_child on fanout_jobs
    (parent_id, ${indexed(sql.literal("parent_name"))})
    where parent_id is not null and tag <> 'Cancelled'`
  yield* sql`create index fanout_jobs_children on fanout_jobs (parent_id, tag, priority desc, created_at, seq)
    where parent_id is not null`
  yield* sql`create index fanout_jobs_parents on fanout_jobs (active_parent, tag) where active_parent is not null`
})

const schedules = Effect.gen(function*() {
  const sql = yield* SqlClient
  const { integer, real, tableSuffix, text } = Dialect.of(sql)
  yield* sql`create table fanout_schedules (
    name ${text} not null primary key,
    job ${text} not null,
    next_at ${real} not null,
    revision ${integer} not null,
    schedule ${text} not null
  ) ${tableSuffix}`
  yield* sql`create index fanout_schedules_due on fanout_schedules (next_at, name)`
})

/** Lets those who clean up after jobs find these without looking at all that wait. */
const cleanUps = Effect.flatMap(
  SqlClient,
  (sql) =>
    sql`create index fanout_jobs_to_cancel on fanout_jobs (priority desc, created_at, seq)
      where tag = 'Queued' and request = 'Cancel'`
)

const changes = {
  "1_initial": initial,
  "2_queue": queue,
  "3_own_checkpoints": ownCheckpoints,
  "4_limits": limits,
  "5_children": children,
  "6_schedules": schedules,
  "7_clean_ups": cleanUps
}

/** Number of the schema that this version writes. */
export const supported = Object.keys(changes).length

export const loader: Migrator.Loader = Migrator.fromRecord(changes)
