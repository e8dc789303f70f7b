import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import * as JobState from "@fanout/core/JobState"
import * as JobStore from "@fanout/core/JobStore"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { type Process, process } from "./managers.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** What a job of a family does, before and after its children, and how it has them. */
const own = {
  millis: Schema.Literals([0, 50, 300]),
  how: Schema.Literals(["inTurn", "atOnce", "startedFirst", "left"]),
  end: Schema.Literals(["done", "done", "fails", "dies"])
}
const Grandchild = Schema.Struct({ ...own, children: Schema.Tuple([]) })
const Child = Schema.Struct({ ...own, children: Schema.Array(Grandchild).check(Schema.isMaxLength(3)) })
const Root = Schema.Struct({
  ...own,
  children: Schema.Array(Child).check(Schema.isMinLength(1), Schema.isMaxLength(3))
})

interface Plan {
  readonly millis: number
  readonly how: "inTurn" | "atOnce" | "startedFirst" | "left"
  readonly end: "done" | "fails" | "dies"
  readonly children: ReadonlyArray<Plan>
}

export const World = Schema.Struct({
  root: Root,
  concurrency: int(1, 3),
  /** In steps of 100 ms, to one of the jobs or to one of the processes that live. */
  script: Schema.Array(Schema.Struct({
    after: int(0, 8),
    what: Schema.Literals(["pause", "resume", "cancel", "pauseOne", "resumeOne", "cancelOne", "kill", "close", "open"]),
    at: int(0, 5)
  })).check(Schema.isMaxLength(7))
})
export type World = typeof World.Type

/** The same world without what somebody cancels: its end can be worked out. */
export const withoutCancels = (world: World): World => ({
  ...world,
  script: world.script.filter(({ what }) => what !== "cancel" && what !== "cancelOne")
})

class Bad extends Schema.TaggedError<Bad>("Bad")("Bad", { path: Schema.String }) {}

/** One job of the family, by its place in it: the root is "", its second child "1", the first of that "10". */
const Member = Job.make("test/Member", { payload: Schema.String, success: Schema.String, error: Bad })

const planOf = (root: Plan, path: string): Plan =>
  Array.from(path, Number).reduce((plan, n) => plan.children[n] ?? plan, root)

/** What a job comes to, worked out without running it. */
export const expected = (plan: Plan): string =>
  plan.end === "done" && plan.how === "left"
    ? "()"
    : plan.end === "done"
    ? `(${plan.children.map((child) => expected(child)).join(" ")})`
    : plan.end

/** How many jobs there are in a family, and at least: of those that are left some may not come to their children. */
export const sizesOf = (plan: Plan): readonly [least: number, most: number] =>
  plan.children.map((child) => sizesOf(child)).reduce(
    ([least, most], [childLeast, childMost]) => [least + (plan.how === "left" ? 1 : childLeast), most + childMost],
    [1, 1]
  )

/** What was seen of a world. The first is sentences, each of which breaks a law. */
interface Seen {
  readonly wrong: Array<string>
  readonly story: Array<string>
  jobs: ReadonlyArray<JobStore.JobRecord>
  /** What the root came to. */
  result: string
}

interface Inside {
  /** Programs that run and wait for no child. */
  busy: number
  readonly running: Set<string>
  isOver: boolean
}

/** Runs a family under the test's clock and watches it. */
class Watch {
  readonly seen: Seen = { wrong: [], story: [], jobs: [], result: "" }
  private readonly stored = new Map<JobId, JobStore.JobRecord>()
  readonly insides: Array<Inside> = []
  readonly world: Omit<World, "script">

  constructor(world: Omit<World, "script">) {
    this.world = world
  }

  /** The store, of which is seen what it says of each job. */
  watched(store: JobStore.JobStore["Service"]): JobStore.JobStore["Service"] {
    return {
      ...store,
      put: (record, line, renames) =>
        Effect.tap(store.put(record, line, renames), (after) =>
          Effect.sync(() => {
            this.stored.set(after.id, after)
            if (after.state._tag !== "Running") this.checkOrphans(after)
          }))
    }
  }

  /** When a job has left Running, its program runs nowhere. */
  private checkOrphans({ id, state }: JobStore.JobRecord): void {
    for (const { isOver, running } of this.insides) {
      if (!isOver && running.has(id)) this.seen.wrong.push(`a program runs of a job that is ${state._tag}`)
    }
  }

  programs(inside: Inside) {
    return Member.toLayer((path) =>
      Effect.gen({ self: this }, function*() {
        const { id } = yield* JobContext
        const plan = planOf(this.world.root, path)
        this.seen.story.push(`${path} begins`)
        if (this.stored.get(id)?.state._tag !== "Running") this.seen.wrong.push(`${path} runs, and is not Running`)
        yield* passing(plan.millis)
        const results = plan.children.length === 0 ? [] : yield* this.waiting(inside, this.children(path, plan))
        yield* passing(plan.millis)
        if (plan.end === "fails") return yield* new Bad({ path })
        if (plan.end === "dies") return yield* Effect.die(new Error(path))
        return `(${results.join(" ")})`
      }).pipe((program) => this.inside(inside, program))
    )
  }

  private children(path: string, { children, how }: Plan) {
    const paths = children.map((_, n) => `${path}${n}`)
    const start = (path: string) =>
      Effect.map(ChildJobs.start(`child ${path}`, Member, path), ({ await: ended }) =>
        ended.pipe(
          Effect.catchTag("Bad", () => Effect.succeed("fails")),
          Effect.catchTag("JobNotCompleted", ({ state }) => Effect.succeed(state === "Failed" ? "dies" : state))
        ))
    const all = how === "left"
      ? Effect.as(Effect.forEach(paths, start), [])
      : how === "startedFirst"
      ? Effect.flatMap(Effect.forEach(paths, start), (started) => Effect.all(started))
      : Effect.forEach(paths, (path) => Effect.flatten(start(path)), {
        concurrency: how === "atOnce" ? "unbounded" : 1
      })
    return Effect.catchTag(all, "JobManagerError", (error) => Effect.die(error))
  }

  private inside<A, E, R>(inside: Inside, program: Effect.Effect<A, E, R | JobContext>) {
    return Effect.flatMap(JobContext, ({ id }) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          inside.running.add(id)
          this.enter(inside)
        }),
        () => program,
        () =>
          Effect.sync(() => {
            inside.busy--
            inside.running.delete(id)
          })
      ))
  }

  private enter(inside: Inside): void {
    inside.busy++
    if (inside.isOver || inside.busy <= this.world.concurrency) return
    this.seen.wrong.push(`${inside.busy} jobs run at once in ${this.world.concurrency} places`)
  }

  private waiting<A, E, R>(inside: Inside, effect: Effect.Effect<A, E, R>) {
    return Effect.acquireUseRelease(
      Effect.sync(() => inside.busy--),
      () => effect,
      () =>
        Effect.map(Interrupter.reason, (reason) => {
          // Who is stopped does not wait for a place to end in.
          if (Option.isSome(reason)) inside.busy++
          else this.enter(inside)
        })
    )
  }
}

const passing = (millis: number) =>
  Effect.forEach(
    Array.from({ length: millis / 50 }),
    () => Effect.andThen(Effect.sleep(50), Interrupter.check),
    { discard: true }
  )

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

type Opened = Process & { readonly inside: Inside }

const open = Effect.fnUntraced(function*(watch: Watch) {
  const inside: Inside = { busy: 0, running: new Set(), isOver: false }
  watch.insides.push(inside)
  const opened = yield* process([Member], watch.programs(inside), {
    concurrency: watch.world.concurrency,
    leaseTtl: 3000,
    grace: 300
  })
  return { ...opened, inside } satisfies Opened
})

/** Starts a family in a first process, and lets the rest of the world be somebody else's. */
const begin = Effect.fnUntraced(function*(world: Omit<World, "script">) {
  yield* TestClock.adjust(1)
  const watch = new Watch(world)
  const store = watch.watched(yield* JobStore.JobStore)
  const opening = Effect.provideService(open(watch), JobStore.JobStore, store)
  const observer = yield* Effect.provideService(
    process([Member], Layer.fresh(watch.programs({ busy: 0, running: new Set(), isOver: true })), { claim: "none" }),
    JobStore.JobStore,
    store
  )
  const first = yield* opening
  const { id } = yield* observer.jobs.start(Member, "")
  yield* settle
  return { watch, store, opening, observer, first, id }
})

const all = ({ jobs }: Pick<Process, "jobs">) => jobs.list({ limit: 1000 })

/** Lets a world come to its end, and gives what was seen. */
export const run = Effect.fnUntraced(function*({ script, ...world }: World) {
  const { first, id, observer, opening, store, watch } = yield* begin(world)
  const opened: Array<Opened> = [first]
  for (const { after, at, what } of script) {
    yield* pass(after * 100 + 3)
    const jobs = yield* all(observer)
    const one = jobs[at % jobs.length]?.id ?? id
    const alive = opened.filter(({ inside }) => !inside.isOver)
    const victim = alive[at % Math.max(1, alive.length)]
    if (what === "open") opened.push(yield* opening)
    else if (what === "kill" || what === "close") {
      if (victim !== undefined) {
        victim.inside.isOver = what === "kill"
        yield* Effect.forkDetach(victim[what])
        if (what === "close") opened.splice(opened.indexOf(victim), 1)
      }
    } else if (what === "pauseOne") yield* Effect.ignore(observer.jobs.pause(one))
    else if (what === "resumeOne") yield* Effect.ignore(observer.jobs.resume(one))
    else if (what === "cancelOne") yield* Effect.ignore(observer.jobs.cancel(one))
    else yield* Effect.ignore(observer.jobs[what](id))
    yield* settle
  }
  yield* opening
  for (let i = 0; i < 60; i++) {
    yield* pass(1000)
    const jobs = yield* all(observer)
    if (jobs.every(({ state }) => JobState.isTerminal(state))) break
    // From the root on, since no child can be resumed before its parent.
    for (const job of jobs.toReversed()) {
      if (job.state._tag === "Paused" && job.state.by === "person") yield* Effect.ignore(observer.jobs.resume(job.id))
    }
  }
  const { seen } = watch
  seen.jobs = yield* all(observer)
  for (const { parent, state } of seen.jobs) {
    const name = Option.match(parent, { onNone: () => "the root", onSome: ({ name }) => name })
    if (!JobState.isTerminal(state)) seen.wrong.push(`${name} is ${state._tag} in the end`)
  }
  if ((yield* store.astray).length > 0) seen.wrong.push("a child is out of step in the end")
  const root = yield* observer.jobs.attach(Member, id)
  seen.result = yield* root.await.pipe(
    Effect.catchTag("Bad", () => Effect.succeed("fails")),
    Effect.catchTag("JobNotCompleted", ({ state }) => Effect.succeed(state === "Failed" ? "dies" : state)),
    Effect.timeoutOption(0),
    Effect.map(Option.getOrElse(() => "nothing")),
    Effect.raceFirst(Effect.as(settle, "nothing"))
  )
  return seen
})

/** Asks one thing of a root, and gives the states of the family after it has had the time to reach all. */
export const askedOnce = Effect.fnUntraced(function*(
  world: Omit<World, "script">,
  what: "pause" | "cancel",
  atMillis: number
) {
  const { id, observer, watch } = yield* begin(world)
  yield* pass(atMillis)
  yield* Effect.ignore(observer.jobs[what](id))
  yield* pass(3000)
  const jobs = yield* all(observer)
  const running = watch.insides.flatMap(({ running }) => Array.from(running))
  yield* Effect.ignore(observer.jobs.resume(id))
  yield* pass(30_000)
  return { seen: watch.seen, jobs, running, root: yield* observer.jobs.get(id) }
})
