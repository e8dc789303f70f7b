import * as JobId from "@fanout/core/JobId"
import * as JobState from "@fanout/core/JobState"
import * as JobStore from "@fanout/core/JobStore"
import { Outcome } from "@fanout/core/Outcome"
import { Owner } from "@fanout/core/OwnerLiveness"
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { job } from "./JobStoreRecords.ts"

// Few of each, so that operations meet.
const Id = Schema.Literals(["a", "b", "c\udc80"])
const Name = Schema.Literals(["copy", "move"])
const Key = Schema.Literals(["none", "k1", "k2\0"])
const JobTag = Schema.Literals(["t1", "t2\udc80"])
const Tags = Schema.UniqueArray(JobTag)
const Token = Schema.Literals([1, 1, 1, 2])
const Time = Schema.Literals([1, 2, 2.5, 3])
const FanOut = Schema.Literals(["files", "folders"])
const Cursor = Schema.Literals(["1", "2", "\udc80", "\\"])
const Tag = Schema.Literals(["Done", "Skipped", "Failed"])
const Limit = Schema.Literals([0, 1, 2, 100])

/** Mostly running, since only then an owner can write. */
const { Cancelled, Queued, Running, Paused, CompletedWithErrors } = JobState.JobState.cases
const State = Schema.Union([Running, Queued, Running, Paused, Running, CompletedWithErrors, Running, Cancelled])

const flush = {
  id: Id,
  token: Token,
  fanOut: FanOut,
  rows: Schema.Array(Schema.Struct({ cursor: Cursor, outcome: Outcome, payload: Schema.Json })),
  cleared: Schema.Array(Cursor),
  checkpoint: Schema.Union([Schema.Literal("same"), Schema.String]),
  onCommit: Schema.Literals(["None", "Succeeds", "Fails"])
}

const insert = {
  id: Schema.Literals(["a", "d", "e", "f"]),
  name: Name,
  idempotencyKey: Key,
  exclusiveKey: Key,
  tags: Tags,
  at: Time,
  payload: Schema.Json
}

const Operation = Schema.TaggedUnion({
  Insert: insert,
  InsertAll: { records: Schema.Array(Schema.Struct(insert)).check(Schema.isMaxLength(3)) },
  InsertChild: {
    id: Schema.Literals(["a", "d", "e", "f", "g"]),
    parent: Id,
    name: FanOut,
    token: Token,
    exclusiveKey: Key,
    at: Time
  },
  Put: {
    id: Schema.Literals(["a", "b", "c\udc80", "d", "e"]),
    stale: Schema.Literals([0, 0, 0, 1]),
    state: State,
    owner: Schema.Literals([0, 1, 1, 1, 2]),
    request: Schema.Option(JobStore.Request),
    exit: Schema.Option(JobStore.Exit),
    ownersLost: Schema.Literals([0, 2]),
    renames: Schema.Array(Schema.Array(Schema.Tuple([FanOut, Schema.Literals(["files", "folders", "\\0", "\\1"])]))),
    idempotencyKey: Key,
    finishedAt: Schema.Option(Time)
  },
  SetConcurrency: { name: Name, most: Schema.NullOr(Schema.Literals([0, 2, 4])) },
  Beat: { id: Id, token: Token },
  Requested: { id: Id, token: Token },
  Flush: flush,
  SaveOwnCheckpoint: { id: Id, token: Token, name: FanOut, checkpoint: Schema.String },
  Log: { id: Id, token: Token, at: Time, message: Schema.String },
  Prune: { before: Time },
  List: {
    states: Schema.Option(Schema.Array(JobState.Tag)),
    names: Schema.Option(Schema.Array(Name)),
    idempotencyKey: Schema.Option(Key),
    tag: Schema.Option(JobTag),
    before: Schema.Option(Schema.Struct({ createdAt: Time, id: Id })),
    limit: Limit
  },
  Due: {
    kinds: Schema.Array(Schema.Struct({ name: Name, version: Schema.Literals([1, 2]) })),
    ids: Schema.Option(Schema.Array(Id)),
    parents: Schema.Option(Schema.Array(Id)),
    except: Schema.Array(Id),
    now: Time,
    limit: Limit
  },
  Outcomes: {
    id: Id,
    fanOut: Schema.Option(FanOut),
    tags: Schema.Option(Schema.Array(Tag)),
    newestFirst: Schema.Boolean,
    after: Schema.Literals([0, 1, 3]),
    limit: Limit
  },
  Logs: { id: Id, newestFirst: Schema.Boolean, after: Schema.Literals([0, 1, 3]), limit: Limit }
})

type Operation = typeof Operation.Type

const {
  Beat,
  Due,
  Flush,
  Insert,
  InsertAll,
  InsertChild,
  List,
  Log,
  Logs,
  Outcomes,
  Prune,
  Put,
  Requested,
  SaveOwnCheckpoint,
  SetConcurrency
} = Operation.cases

/** What can be asked of a store, in terms of a few jobs, keys and elements. */
export const Operations = Schema.Array(
  Schema.Union([
    Flush,
    Flush,
    Flush,
    Put,
    Put,
    Insert,
    InsertAll,
    InsertChild,
    InsertChild,
    Outcomes,
    List,
    Due,
    Beat,
    Requested,
    SaveOwnCheckpoint,
    SetConcurrency,
    Log,
    Logs,
    Prune
  ])
).check(Schema.isMinLength(5))

const id = (text: string) => JobId.make(text)
const key = (text: string) => text === "none" ? Option.none<string>() : Option.some(text)
/** New names, no two of them the same. */
const distinct = (pairs: ReadonlyArray<readonly [string, string]>) => {
  const from = new Map(pairs.map(([from, to]) => [to, from]))
  return new Map(Array.from(from, ([to, from]) => [from, to]))
}

const fresh = ({ at, exclusiveKey, id, idempotencyKey, ...fields }: Omit<typeof Insert.Type, "_tag">) =>
  job(id, {
    ...fields,
    idempotencyKey: key(idempotencyKey),
    exclusiveKey: key(exclusiveKey),
    createdAt: at,
    availableAt: at
  })

const perform = (store: JobStore.JobStore["Service"], operation: Operation): Effect.Effect<unknown, unknown> =>
  Operation.match(operation, {
    Insert: (fields) => store.insert(fresh(fields)),
    InsertAll: ({ records }) => store.insertAll(records.map(fresh)),
    InsertChild: ({ at, exclusiveKey, id, name, parent, token }) =>
      store.insertChild(
        job(id, {
          parent: Option.some({ id: JobId.make(parent), name, attempt: 1, tries: 0 }),
          exclusiveKey: key(exclusiveKey),
          createdAt: at,
          availableAt: at
        }),
        token
      ),
    Put: (put) =>
      Effect.flatMap(Effect.option(store.get(id(put.id))), (found): Effect.Effect<unknown, unknown> => {
        const record = Option.getOrElse(found, () => job(put.id))
        const { exit, finishedAt, ownersLost, request, state } = put
        const lease = put.owner === 0
          ? Option.none()
          : Option.some({ token: put.owner, owner: new Owner({ machine: "m", boot: "\udcff", process: "p" }) })
        const changed = { exit, finishedAt, ownersLost, request, state, lease, idempotencyKey: key(put.idempotencyKey) }
        const renames = put.renames.map(distinct)
        const revision = Math.max(0, record.revision - put.stale)
        // Who is cancelled stays so.
        if (record.state._tag === "Cancelled") return Effect.succeed("cancelled")
        return store.put(record.with({ ...changed, revision }), state._tag, renames)
      }),
    SetConcurrency: ({ most, name }) => store.setConcurrency(name, most),
    Beat: ({ id: of, token }) => store.beat(id(of), token),
    Requested: ({ id: of, token }) => store.requested(id(of), token),
    Flush: ({ checkpoint, cleared, fanOut, id: of, onCommit, rows, token }) => {
      const flush = {
        token,
        fanOut,
        checkpoint,
        cleared,
        progress: new Progress.Progress({ fanOuts: {}, totals: {}, units: { rows: rows.length } }),
        rows: rows.map((row) =>
          new JobStore.OutcomeRow({ ...row, fanOut, key: row.cursor, origin: row.payload, attempt: 1, at: 1 })
        )
      }
      if (onCommit === "None") return store.flush(id(of), flush)
      const inside = store.log(id(of), token, { at: 1, level: "Info", message: "inside" })
      return store.flush(id(of), flush, onCommit === "Fails" ? Effect.andThen(inside, Effect.fail("no")) : inside)
    },
    SaveOwnCheckpoint: ({ id: of, ...options }) => store.saveOwnCheckpoint(id(of), options),
    Log: ({ at, id: of, message, token }) => store.log(id(of), token, { at, level: "Info", message }),
    Prune: ({ before }) => store.prune(before),
    List: ({ before, idempotencyKey, limit, names, states, tag }) =>
      store.list({
        limit,
        idempotencyKey: Option.getOrUndefined(idempotencyKey),
        tag: Option.getOrUndefined(tag),
        states: Option.getOrUndefined(states),
        names: Option.getOrUndefined(names),
        before: Option.getOrUndefined(Option.map(before, (job) => ({ ...job, id: id(job.id) })))
      }),
    Due: ({ except, ids, kinds, limit, now, parents }) =>
      store.due({
        kinds,
        ids: Option.getOrUndefined(ids)?.map(id),
        parents: Option.getOrUndefined(parents)?.map(id),
        except: except.map(id),
        now,
        limit
      }),
    Outcomes: ({ after, fanOut, id: of, limit, newestFirst, tags }) =>
      store.outcomes(id(of), {
        newestFirst,
        after,
        limit,
        fanOut: Option.getOrUndefined(fanOut),
        tags: Option.getOrUndefined(tags)
      }),
    Logs: ({ id: of, ...options }) => store.logs(id(of), options)
  })

/** Everything that can be read of a store. */
const contents = Effect.fnUntraced(function*(store: JobStore.JobStore["Service"]) {
  const jobs = yield* store.list({ limit: 100 })
  const all = { after: 0, limit: 10_000 }
  const { kinds, ...look } = yield* store.look(2)
  return {
    jobs,
    kinds: kinds.map(({ name, version }) => `${name} ${version}`).toSorted(),
    look,
    unreadable: yield* store.unreadable({ limit: 100 }),
    astray: (yield* store.astray).map(({ id, wish }) => `${id} ${wish}`).toSorted(),
    belongings: yield* Effect.forEach(Id.literals, (text) =>
      Effect.all({
        pulse: Effect.exit(store.pulse(id(text))),
        outcomes: store.outcomes(id(text), all),
        failures: store.failures(id(text)),
        children: Effect.forEach(FanOut.literals, (name) => store.child(id(text), name)),
        childTags: Effect.map(store.childTags(id(text)), (tags) => tags.toSorted()),
        childCounts: store.childCounts([id(text)]),
        checkpoints: Effect.forEach(FanOut.literals, (name) => store.checkpoint(id(text), name)),
        own: Effect.forEach(FanOut.literals, (name) => store.ownCheckpoint(id(text), name)),
        logs: store.logs(id(text), all)
      }))
  }
})

/** Performs operations, with three jobs running at first; returns what each came to and what is stored in the end. */
export const run = Effect.fnUntraced(function*(operations: ReadonlyArray<Operation>) {
  const store = yield* JobStore.JobStore
  for (const text of Id.literals) {
    const record = yield* store.insert(job(text, { ownersLost: 1 }))
    const lease = { token: 1, owner: new Owner({ machine: "m", boot: "b", process: "p" }) }
    yield* store.put(record.with({ state: Running.make({ attempt: 1, tries: 0 }), lease: Option.some(lease) }), "run")
  }
  const results: Array<unknown> = []
  for (const operation of operations) {
    const exit = yield* Effect.exit(perform(store, operation))
    results.push(Exit.isSuccess(exit) ? exit.value : String(exit.cause))
  }
  return { results, contents: yield* contents(store) }
})
