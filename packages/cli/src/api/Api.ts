/**
 * The definition of the API of jobs, which `fanout ui` serves below `/api`. The page and programs of one's own use it;
 * `GET /api/openapi.json` describes it.
 *
 * Times are milliseconds since the epoch, amounts are bytes, rates are per second. What is unknown is `null`. Texts for
 * people have nothing in them that a terminal obeys, nor marks that turn the direction of a text; they can hold any
 * other character, `<` and `&` among them. Each error has a `_tag` and a `message` for people.
 *
 * An application can have page and API below a prefix, so the page asks for `api/…` from where it is itself. The
 * application can also know by other means who asks, so a page without a token asks all the same, and needs one only
 * once it gets status 401.
 */
import { JobHistory } from "@fanout/core/JobHistory"
import { JobId } from "@fanout/core/JobId"
import * as JobState from "@fanout/core/JobState"
import { StorageProblem } from "@fanout/core/JobStoreError"
import { Histogram, ThreadsStatus } from "@fanout/core/JobTasks"
import { PoolStatus } from "@fanout/core/Pools"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"

/**
 * Most jobs, or schedules, of a page, elements of a page, and jobs of one action; and how many a page has if nobody
 * says.
 */
const most = { jobs: 200, items: 500, actions: 1000 }
export const usual = { jobs: 50, children: 100, items: 100, schedules: 100 }

// --- Errors ---------------------------------------------------------------------------------------------------------

/** The request is not as it is described here. */
export class BadRequest
  extends Schema.TaggedError<BadRequest>("@fanout/cli/api/BadRequest")("BadRequest", { message: Schema.String }, {
    httpApiStatus: 400
  })
{}

/** There is no such job, which may have been pruned, or no such schedule. */
export class NotFound
  extends Schema.TaggedError<NotFound>("@fanout/cli/api/NotFound")("NotFound", { message: Schema.String }, {
    httpApiStatus: 404
  })
{}

/** The state of the job, or its type, does not allow what was asked for. */
export class Refused
  extends Schema.TaggedError<Refused>("@fanout/cli/api/Refused")("Refused", { message: Schema.String }, {
    httpApiStatus: 409
  })
{}

/** The server only shows jobs. */
export class ReadOnly
  extends Schema.TaggedError<ReadOnly>("@fanout/cli/api/ReadOnly")("ReadOnly", { message: Schema.String }, {
    httpApiStatus: 403
  })
{}

/** The page of another site has asked for a change. */
export class Foreign
  extends Schema.TaggedError<Foreign>("@fanout/cli/api/Foreign")("Foreign", { message: Schema.String }, {
    httpApiStatus: 403
  })
{}

/** The database does not answer as it should: it is locked (`Busy`), full, damaged … */
export class StoreFailed extends Schema.TaggedError<StoreFailed>("@fanout/cli/api/StoreFailed")("StoreFailed", {
  problem: StorageProblem,
  message: Schema.String
}, { httpApiStatus: 503 }) {}

// --- Jobs -----------------------------------------------------------------------------------------------------------

/** Numbers by names: of jobs by state, of elements by cause, of amounts by unit. */
const Counts = Schema.Record(Schema.String, Schema.Number)

/** What can be asked of jobs. */
export const Action = Schema.Literals(["pause", "resume", "cancel", "retry"])
export type Action = typeof Action.Type

/** Failed elements of a job that are to run again: some by their `seq`, or all of one `cause`. */
const Choice = JobState.Choice
export type Choice = typeof Choice.Type

const Priority = Schema.Literals(["low", "normal", "high", "critical"])

/** How far a job is. */
export const Progress = Schema.Struct({
  /** What is done, but for folders: files, links, and whatever else a job counts. */
  done: Schema.Number,
  folders: Schema.Number,
  failed: Schema.Number,
  skipped: Schema.Number,
  /** How many of the skipped ones were gone when their turn came. */
  vanished: Schema.Number,
  /** All elements that have ended, as the runtime counts them: those of `totals.items`, ends of folders among them. */
  elements: Schema.Number,
  /** Done elements by what became of them: `Copied`, `Unchanged`, … */
  tags: Counts,
  /** Failed elements by cause: at most 32, and `others`. */
  causes: Counts,
  /** Skipped elements by reason: at most 32, and `others`. */
  reasons: Counts,
  /** What was moved, such as `bytes`. */
  units: Counts,
  /** What there is in all, where that is known: `items`, `bytes`. */
  totals: Counts,
  /** Now, by the last ten seconds: `items`, and each of the units that moves. Empty unless the job runs. */
  rates: Counts,
  /** When the present or the last run began. */
  startedAt: Schema.NullOr(Schema.Number),
  /** How much of all is done, from 0 to 1. */
  share: Schema.NullOr(Schema.Number),
  /** Time that is left at the present rate. */
  leftMillis: Schema.NullOr(Schema.Number)
})
export type Progress = typeof Progress.Type

/** A job of a list. */
export const JobRow = Schema.Struct({
  id: JobId,
  /** Type of the job, such as `copy`. */
  name: Schema.String,
  /** The job in a few words: `copy Photos → /mnt/backup`; its type if this program does not know it. */
  title: Schema.String,
  state: JobState.Tag,
  /** The state in a word or two: `running`, `pausing`, `some failed`, `process gone`. */
  stateText: Schema.String,
  /** Who has paused it: `person`, `parent`, `disk`, `device`, or a name that the job chose. */
  pausedBy: Schema.NullOr(Schema.String),
  /** What is asked of it and not yet done: `Pause`, `PauseWithParent` or `Cancel`. */
  request: Schema.NullOr(Schema.String),
  /** Whether it runs, and its process is dead: nobody works on it. */
  isOwnerDead: Schema.Boolean,
  /** Why it has failed, in words. */
  error: Schema.NullOr(Schema.String),
  /** What its state allows now. A job with a parent may still refuse: it goes with its parent. */
  actions: Schema.Array(Action),
  createdAt: Schema.Number,
  updatedAt: Schema.Number,
  finishedAt: Schema.NullOr(Schema.Number),
  parent: Schema.NullOr(JobId),
  schedule: Schema.NullOr(Schema.String),
  /** What it has come to, in words: `991 done, 10 failed`. */
  counted: Schema.String,
  progress: Progress
})
export type JobRow = typeof JobRow.Type

/** All that is known of a job. */
export const JobDetail = Schema.Struct({
  ...JobRow.fields,
  /** Name of a field and its value: what the job does, in full. `["copies", "\"/a\" to \"/b\", with …"]` */
  what: Schema.Tuple([Schema.String, Schema.String]),
  /** The state as words, with its reason: `paused (disk full)`, `running, but its process is gone`. */
  standing: Schema.String,
  /** What can be done next, as a sentence with a command; empty where nothing is left to do. */
  next: Schema.String,
  version: Schema.Number,
  attempt: Schema.Number,
  /** Which failed elements this attempt runs again, in words, if some were chosen: `only 3 chosen failures`. */
  only: Schema.NullOr(Schema.String),
  priority: Priority,
  limits: Schema.Struct({
    concurrency: Schema.NullOr(Schema.Number),
    bytesPerSecond: Schema.NullOr(Schema.Number)
  }),
  /** Whether `bytesPerSecond` can be set: whether it moves bytes. */
  isThrottled: Schema.Boolean,
  tags: Schema.Array(Schema.String),
  /** Who runs it: process (`1234-…`) and machine, as the owner names itself. */
  owner: Schema.NullOr(Schema.Struct({ token: Schema.Number, process: Schema.String, machine: Schema.String })),
  /** Whether `fanout` has a program for the job. Otherwise only its own program can run it. */
  hasCode: Schema.Boolean,
  /** Numbers of its children by state; list them with `parent`. */
  children: Counts,
  /** What copies could not be given, one sentence each. */
  warnings: Schema.Array(Schema.String),
  /** Commands for a shell that look at the job or ask the same of it as the actions do, the likeliest first. */
  commands: Schema.Array(Schema.String),
  payload: Schema.Json
})
export type JobDetail = typeof JobDetail.Type

/** A job whose row can't be read, and why. */
const Unreadable = Schema.Struct({ id: Schema.String, why: Schema.String })

export const JobPage = Schema.Struct({
  jobs: Schema.Array(JobRow),
  /** Jobs between these that can't be read. */
  unreadable: Schema.Array(Unreadable),
  /** What the next page gets as `before`; `null` behind the last page. */
  next: Schema.NullOr(Schema.String),
  /** Numbers of all jobs by state, whatever the filter. A state without jobs is left out. */
  counts: Counts
})
export type JobPage = typeof JobPage.Type

/** A job that another one has started, with the numbers of the jobs that it has started itself, by state. */
export const ChildRow = Schema.Struct({ ...JobRow.fields, children: Counts })
export type ChildRow = typeof ChildRow.Type

/** A level of the tree of jobs. */
export const ChildPage = Schema.Struct({
  jobs: Schema.Array(ChildRow),
  /** What the next page gets as `before`; `null` behind the last page. */
  next: Schema.NullOr(Schema.String),
  /** Numbers of all jobs of this level by state. */
  counts: Counts
})
export type ChildPage = typeof ChildPage.Type

/** An element of a job that was recorded. `seq` is its place among all of the job. */
export const Item = Schema.Struct({
  seq: Schema.Number,
  fanOut: Schema.String,
  /** What it is, for most jobs a path. */
  key: Schema.String,
  outcome: Schema.Literals(["Done", "Skipped", "Failed"]),
  /** Of a failed one: the cause that it counts as in `progress.causes`, where the rarest ones may be `others`. */
  cause: Schema.NullOr(Schema.String),
  /** Why it failed or was skipped; empty for a done one. */
  message: Schema.String,
  /** How many elements it stands for: a folder may stand for all that is in it. */
  count: Schema.Number,
  attempt: Schema.Number,
  at: Schema.Number
})
export type Item = typeof Item.Type

export const ItemPage = Schema.Struct({
  items: Schema.Array(Item),
  /** What the next page gets as `after`; `null` behind the last page. Of a running job, more may come later. */
  next: Schema.NullOr(Schema.Number)
})
export type ItemPage = typeof ItemPage.Type

export const LogLine = Schema.Struct({
  seq: Schema.Number,
  at: Schema.Number,
  level: Schema.Literals(["Info", "Warning", "Error"]),
  message: Schema.String
})
export type LogLine = typeof LogLine.Type

/**
 * How long attempts of tasks took. The quantiles are upper bounds of buckets, in milliseconds: half of the attempts
 * took at most `p50`. `null` is more than the last bound.
 */
const Times = Schema.Struct({
  /** The number of attempts in each bucket, without the empty buckets at its end. */
  counts: Histogram,
  p50: Schema.NullOr(Schema.Number),
  p95: Schema.NullOr(Schema.Number),
  p99: Schema.NullOr(Schema.Number)
})

/** A worker of a cluster, as a process sees it that has tasks for it. What a worker has not told is `null`. */
export const Worker = Schema.Struct({
  address: Schema.String,
  /** `unusable`: it can't be reached, or takes no task at all. */
  state: Schema.Literals(["connected", "connecting", "unusable"]),
  /** The state in words: `answered in 4 ms, does not take hash (…)`, `can't be reached: …`. */
  stateText: Schema.String,
  /** Since when there is a connection. */
  since: Schema.NullOr(Schema.Number),
  /** Tasks that it has in hand, has ended since then, and ends in a second. */
  inHand: Schema.NullOr(Schema.Number),
  ended: Schema.NullOr(Schema.Number),
  perSecond: Schema.NullOr(Schema.Number),
  /** How long it took to answer, and how long ago it said something, in whole seconds. */
  greetingMillis: Schema.NullOr(Schema.Number),
  silentMillis: Schema.NullOr(Schema.Number),
  /** Whether it is about to end, and takes no more tasks. */
  isLeaving: Schema.Boolean,
  /** Tasks that it does not take, and why. */
  refuses: Schema.Array(Schema.Struct({ task: Schema.String, why: Schema.String }))
})
export type Worker = typeof Worker.Type

/** How the tasks of a job went; see core's `JobTasks`. */
export const TaskTimes = Schema.Struct({
  /** Upper bounds of the buckets, in milliseconds. One more bucket has no bound. */
  upperMillis: Schema.Array(Schema.Number),
  kinds: Schema.Array(Schema.Struct({
    /** The name of the task, or `forEach "…"`. */
    name: Schema.String,
    /** How many attempts there were. */
    attempts: Schema.Number,
    waiting: Times,
    running: Times
  })),
  /** Pools, threads and workers of the process that runs the job; empty while none does. */
  pools: Schema.Array(PoolStatus),
  threads: Schema.Array(ThreadsStatus),
  workers: Schema.Array(Worker)
})
export type TaskTimes = typeof TaskTimes.Type

/**
 * What all processes keep together. Of the kind `jobs`: at most so many jobs of the name run at the same time. Of the
 * kind `rate`: at most so many tasks of the rate begin in a second; a rate is one that a definition of a task names.
 */
export const CommonLimit = Schema.Struct({
  kind: Schema.Literals(["jobs", "rate"]),
  name: Schema.String,
  most: Schema.Number
})
export type CommonLimit = typeof CommonLimit.Type

/** How much may pass in a second. */
const PerSecond = (minimum: number) => Schema.Finite.check(Schema.isBetween({ minimum, maximum: 2 ** 53 }))

/** The same, with `null` for no limit. Jobs run in whole numbers. */
export const CommonLimitChange = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("jobs"), name: Schema.NonEmptyString, most: Schema.NullOr(Schema.Natural) }),
  Schema.Struct({ kind: Schema.Literal("rate"), name: Schema.NonEmptyString, most: Schema.NullOr(PerSecond(0)) })
])
export type CommonLimitChange = typeof CommonLimitChange.Type

/** What has become of an action on one job: `null`, or why the job refused it. */
export const Answer = Schema.Struct({ id: JobId, refused: Schema.NullOr(Schema.String) })
export type Answer = typeof Answer.Type

/** Refuses what would change something where jobs are only shown, and says what is wrong with a request. */
export class Access extends HttpApiMiddleware.Service<Access>()("@fanout/cli/api/Access", {
  error: [ReadOnly, Foreign, BadRequest]
}) {}

const params = { id: JobId }
const NumberOf = (schema: Schema.Codec<number, number>) => Schema.optionalKey(schema)
const Limit = (most: number) =>
  NumberOf(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1), Schema.isLessThanOrEqualTo(most)))

/** `?state=Failed&state=Running`: several mean any of them. */
const anyOf = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.Union([schema, Schema.Array(schema)]))

/** Filters of a list of jobs. */
export const ListQuery = Schema.Struct({
  state: anyOf(JobState.Tag),
  name: anyOf(Schema.String),
  tag: Schema.optionalKey(Schema.String),
  /** Only children of this job. Without it, children are listed among the others. */
  parent: Schema.optionalKey(JobId),
  schedule: Schema.optionalKey(Schema.String),
  /** How the id begins. */
  idPrefix: Schema.optionalKey(Schema.String),
  /** Only jobs that were made at this time or later. */
  since: NumberOf(Schema.Finite),
  /** The `next` of the page before. */
  before: Schema.optionalKey(Schema.String),
  limit: Limit(most.jobs)
})
export type ListQuery = typeof ListQuery.Type

/** Filters of the elements of a job. */
export const ItemQuery = Schema.Struct({
  outcome: anyOf(Schema.Literals(["Done", "Skipped", "Failed"])),
  cause: Schema.optionalKey(Schema.String),
  /** The `next` of the page before, or any `seq`: elements behind it. */
  after: NumberOf(Schema.Natural),
  limit: Limit(most.items)
})
export type ItemQuery = typeof ItemQuery.Type

/** Which children of a job are asked for. */
export const ChildQuery = Schema.Struct({
  state: anyOf(JobState.Tag),
  /** The `next` of the page before. */
  before: Schema.optionalKey(Schema.String),
  limit: Limit(most.jobs)
})
export type ChildQuery = typeof ChildQuery.Type

/** What can be set of a job. */
export const Settings = Schema.Struct({
  priority: Schema.optionalKey(Priority),
  concurrency: Schema.optionalKey(Schema.NullOr(
    Schema.Int.check(Schema.isGreaterThanOrEqualTo(1), Schema.isLessThanOrEqualTo(9999))
  )),
  bytesPerSecond: Schema.optionalKey(Schema.NullOr(PerSecond(1)))
})
export type Settings = typeof Settings.Type

class Jobs extends HttpApiGroup.make("jobs").add(
  /** `GET /api/jobs`: jobs that fit all filters, the newest first. */
  HttpApiEndpoint.get("list", "/jobs", {
    query: ListQuery.fields,
    success: JobPage,
    error: StoreFailed
  }),
  /** `GET /api/jobs/ID` */
  HttpApiEndpoint.get("detail", "/jobs/:id", { params, success: JobDetail, error: [NotFound, StoreFailed] }),
  /** `GET /api/jobs/ID/children`: jobs that it has started, the newest first. */
  HttpApiEndpoint.get("children", "/jobs/:id/children", {
    params,
    query: ChildQuery.fields,
    success: ChildPage,
    error: [NotFound, StoreFailed]
  }),
  /** `GET /api/jobs/ID/history`: samples for a plot in columns of one length, and marks; see core's `JobHistory`. */
  HttpApiEndpoint.get("history", "/jobs/:id/history", { params, success: JobHistory, error: [NotFound, StoreFailed] }),
  /** `GET /api/jobs/ID/tasks`: how long its tasks waited and ran, and pools, threads and workers of its process. */
  HttpApiEndpoint.get("tasks", "/jobs/:id/tasks", { params, success: TaskTimes, error: [NotFound, StoreFailed] }),
  /**
   * `GET /api/jobs/ID/items`: recorded elements, in the order in which they were recorded: failed ones unless `outcome`
   * says otherwise. With a `cause`, only failed ones of this cause.
   */
  HttpApiEndpoint.get("items", "/jobs/:id/items", {
    params,
    query: ItemQuery.fields,
    success: ItemPage,
    error: [NotFound, StoreFailed]
  }),
  /** `GET /api/jobs/ID/log`: lines behind the `seq` `after`, the oldest first. A log keeps its newest 1,000 lines. */
  HttpApiEndpoint.get("log", "/jobs/:id/log", {
    params,
    query: { after: NumberOf(Schema.Natural) },
    success: Schema.Array(LogLine),
    error: [NotFound, StoreFailed]
  }),
  /**
   * `POST /api/jobs/actions`: asks the same of several jobs, and answers in their order. That one refuses keeps it from
   * no other one. An owner obeys within some 250 ms after the answer.
   */
  HttpApiEndpoint.post("ask", "/jobs/actions", {
    payload: Schema.Struct({
      action: Action,
      ids: Schema.Array(JobId).check(Schema.isMinLength(1), Schema.isMaxLength(most.actions))
    }),
    success: Schema.Array(Answer)
  }),
  /**
   * `POST /api/jobs/ID/retry`: runs only these failed elements again, by their `seq`, or all of one `cause`. The others
   * stay failed. Answers 204; 409 if one of them is no failed element that can run again.
   */
  HttpApiEndpoint.post("retry", "/jobs/:id/retry", {
    params,
    payload: Choice,
    success: HttpApiSchema.NoContent,
    error: [NotFound, Refused, StoreFailed]
  }),
  /**
   * `POST /api/jobs/ID/settings`: changes what is given, also while the job runs. `null` takes a limit away. Answers
   * 204.
   */
  HttpApiEndpoint.post("set", "/jobs/:id/settings", {
    params,
    payload: Settings,
    success: HttpApiSchema.NoContent,
    error: [NotFound, Refused, StoreFailed]
  }),
  /** `POST /api/jobs/prune`: forgets jobs that ended longer ago than this. The files stay. */
  HttpApiEndpoint.post("prune", "/jobs/prune", {
    payload: Schema.Struct({ olderThanMillis: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)) }),
    success: Schema.Struct({ removed: Schema.Number }),
    error: StoreFailed
  }),
  /** `GET /api/limits`: what all processes keep together, first the jobs of a name, then rates. */
  HttpApiEndpoint.get("limits", "/limits", { success: Schema.Array(CommonLimit), error: StoreFailed }),
  /**
   * `POST /api/limits`: sets one of these limits. 0 lets nothing begin, `null` takes the limit away. What runs goes on.
   * Answers 204.
   */
  HttpApiEndpoint.post("setLimit", "/limits", {
    payload: CommonLimitChange,
    success: HttpApiSchema.NoContent,
    error: StoreFailed
  }),
  /**
   * `GET /api/events`, as server-sent events: says that something was stored, so that a page reads again what it shows.
   * The first event comes at once, later ones at most five times a second, and each ten seconds even if nothing was
   * stored: a process may have died. Who reads slowly gets the latest event only.
   */
  HttpApiEndpoint.get("events", "/events", {
    success: HttpApiSchema.StreamSse({ data: Schema.Struct({ at: Schema.Number }) })
  })
).middleware(Access) {}

// --- Schedules ------------------------------------------------------------------------------------------------------

/** What can be asked of a schedule. */
export const ScheduleAction = Schema.Literals(["pause", "resume", "run", "remove"])
export type ScheduleAction = typeof ScheduleAction.Type

/** A job that a schedule has started. */
const LastJob = Schema.Struct({
  id: JobId,
  state: JobState.Tag,
  stateText: Schema.String,
  isOwnerDead: Schema.Boolean,
  error: Schema.NullOr(Schema.String)
})

/** A schedule, and how it stands. */
export const Schedule = Schema.Struct({
  name: Schema.String,
  /** What it runs, in a few words: `copy -T Photos /mnt/backup`; the type of its job if this program knows no more. */
  what: Schema.String,
  /** When it runs, in words where there are short ones: `every day at 03:00`; otherwise its `cron`. */
  when: Schema.String,
  cron: Schema.String,
  timeZone: Schema.String,
  /** `due`: its time has come, and no process has run it yet. `waiting`: for the job of an earlier tick. */
  state: Schema.Literals(["on", "due", "waiting", "paused", "over"]),
  stateText: Schema.String,
  /** When its next jobs start: one in a list, otherwise five. Of a paused one: if it were resumed now. */
  next: Schema.Array(Schema.Number),
  /** Its last tick, or when somebody has run it later. */
  lastAt: Schema.NullOr(Schema.Number),
  /** The job of that, unless it was removed. */
  last: Schema.NullOr(LastJob),
  /** What becomes of missed ticks, and of ticks while the job before is not over, in words. */
  missed: Schema.String,
  overlap: Schema.String,
  jitterMillis: Schema.Number,
  /** After so many failed jobs in a row it pauses. */
  failures: Schema.NullOr(Schema.Number),
  pausedAt: Schema.NullOr(Schema.Number),
  /** Type of the jobs that it starts, and whether `fanout` has a program for them. */
  job: Schema.String,
  hasCode: Schema.Boolean,
  /** The command that it runs, for a shell, and the folder that its paths start from. */
  command: Schema.NullOr(Schema.String),
  folder: Schema.NullOr(Schema.String)
})
export type Schedule = typeof Schedule.Type

export const SchedulePage = Schema.Struct({
  schedules: Schema.Array(Schedule),
  /** What the next page gets as `after`; `null` behind the last page. */
  next: Schema.NullOr(Schema.String)
})
export type SchedulePage = typeof SchedulePage.Type

/** What has become of an action on one schedule: why it was refused, and the job of `run`. */
export const ScheduleAnswer = Schema.Struct({
  name: Schema.String,
  refused: Schema.NullOr(Schema.String),
  job: Schema.NullOr(JobId)
})
export type ScheduleAnswer = typeof ScheduleAnswer.Type

class Schedules extends HttpApiGroup.make("schedules").add(
  /** `GET /api/schedules`: all schedules, in the order of their names. */
  HttpApiEndpoint.get("schedules", "/schedules", {
    query: { after: Schema.optionalKey(Schema.String), limit: Limit(most.jobs) },
    success: SchedulePage,
    error: StoreFailed
  }),
  /** `GET /api/schedules/NAME`; its jobs are those of `GET /api/jobs?schedule=NAME`. */
  HttpApiEndpoint.get("schedule", "/schedules/:name", {
    params: { name: Schema.String },
    success: Schedule,
    error: [NotFound, StoreFailed]
  }),
  /**
   * `POST /api/schedules/actions`: asks the same of several schedules, and answers in their order. `run` starts the job
   * at once, also of a paused one. `remove` leaves jobs that are started as they are.
   */
  HttpApiEndpoint.post("askSchedules", "/schedules/actions", {
    payload: Schema.Struct({
      action: ScheduleAction,
      names: Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(most.actions))
    }),
    success: Schema.Array(ScheduleAnswer)
  })
).middleware(Access) {}

// --- Server ---------------------------------------------------------------------------------------------------------

/** What the server is: for the head of the page. */
export const About = Schema.Struct({
  /** Version of fanout. */
  version: Schema.String,
  /** Where the jobs are stored. */
  database: Schema.String,
  /** Whether each `POST` is refused. */
  isReadOnly: Schema.Boolean,
  /** Whether this process runs queued jobs. */
  works: Schema.Boolean,
  /** What a person has to know about that; empty where nothing. */
  note: Schema.String
})
export type About = typeof About.Type

/** What `fanout doctor` tells. What is lacking costs something; what is broken has to be mended. */
export const Examination = Schema.Struct({
  checks: Schema.Array(Schema.Struct({
    what: Schema.String,
    state: Schema.Literals(["ok", "lacking", "broken"]),
    found: Schema.String
  })),
  /** Pools as large as this machine allows, and why. `least` and `most` are the sizes between which it adapts. */
  pools: Schema.Array(Schema.Struct({
    name: Schema.String,
    size: Schema.Number,
    bounds: Schema.NullOr(Schema.Struct({ least: Schema.Number, most: Schema.Number })),
    why: Schema.String
  }))
})
export type Examination = typeof Examination.Type

/** A live process that runs jobs, as they have told within the last second. */
export const Process = Schema.Struct({
  /** Process (`1234-…`) and machine, as the process names itself. */
  process: Schema.String,
  machine: Schema.String,
  jobs: Schema.Array(JobId),
  pools: Schema.Array(PoolStatus),
  threads: Schema.Array(ThreadsStatus),
  /** The workers of the cluster that it takes part in, as it sees them. */
  workers: Schema.Array(Worker)
})
export type Process = typeof Process.Type

class Server extends HttpApiGroup.make("server").add(
  /** `GET /api/about` */
  HttpApiEndpoint.get("about", "/about", { success: About }),
  /** `GET /api/doctor`: looks anew each time, which can take a second. */
  HttpApiEndpoint.get("doctor", "/doctor", { success: Examination }),
  /** `GET /api/processes`: live processes that run jobs, with their pools, threads and workers. */
  HttpApiEndpoint.get("processes", "/processes", { success: Schema.Array(Process), error: StoreFailed })
) {}

export class Api extends HttpApi.make("fanout").add(Jobs).add(Schedules).add(Server).prefix("/api") {}
