import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import * as JobStore from "@fanout/core/JobStore"
import * as Lease from "@fanout/core/Lease"
import { settle } from "@fanout/core/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { type Process, process } from "./managers.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** What a job does until it is cancelled, and what its clean-up does. */
const Plan = Schema.Struct({
  program: Schema.Literals(["runs", "pauses", "dies"]),
  millis: Schema.Literals([0, 50, 400, 4000]),
  end: Schema.Literals(["ends", "ends", "dies"]),
  /** Whether the clean-up looks whether it has to stop. */
  isPolite: Schema.Boolean
})

export const World = Schema.Struct({
  plans: Schema.Array(Plan).check(Schema.isMinLength(1), Schema.isMaxLength(4)),
  concurrency: int(1, 2),
  /** When the first job is cancelled, in steps of 100 ms. */
  cancelAt: int(0, 5),
  /** Writes after which the first processes die, before or after they are made. */
  deaths: Schema.Array(Schema.Struct({ write: int(1, 12), isMade: Schema.Boolean })).check(Schema.isMaxLength(3)),
  /** In steps of 100 ms, to one of the jobs or to one of the processes that live. */
  script: Schema.Array(Schema.Struct({
    after: int(0, 8),
    what: Schema.Literals([
      "cancel",
      "cancel",
      "cancelAndLeave",
      "pause",
      "resume",
      "retry",
      "kill",
      "close",
      "open"
    ]),
    at: int(0, 5)
  })).check(Schema.isMinLength(1), Schema.isMaxLength(8))
})
export type World = typeof World.Type

const Left = Job.make("test/Left", { payload: Plan })

interface Inside {
  isOver: boolean
  writes: number
  kill: Effect.Effect<void>
  readonly death: World["deaths"][number] | undefined
}

/** What a store says to a process that has died. */
const silence = Effect.interruptible(Effect.never)

/** Sees what is stored of jobs, and what cleans up after them. */
class Watch {
  /** Sentences, each of which breaks a law. */
  readonly wrong: Array<string> = []
  readonly asked = new Set<JobId>()
  private readonly stored = new Map<JobId, JobStore.JobRecord>()
  private readonly cleaning = new Map<JobId, Inside>()
  /** Clean-ups that have come to an end, by job and token. */
  private readonly ended = new Set<string>()

  storeOf(inside: Inside, store: JobStore.JobStore["Service"]): JobStore.JobStore["Service"] {
    return {
      ...store,
      put: (record, line, renames) =>
        Effect.suspend(() => {
          const put = Effect.tap(store.put(record, line, renames), (after) => Effect.sync(() => this.wasPut(after)))
          if (++inside.writes !== inside.death?.write) return put
          inside.isOver = true
          return Effect.andThen(inside.kill, inside.death.isMade ? Effect.andThen(put, silence) : silence)
        })
    }
  }

  private wasPut(record: JobStore.JobRecord): void {
    const { id, request, state, token } = record
    this.stored.set(id, record)
    if (Option.contains(request, "Cancel")) this.asked.add(id)
    if (state._tag !== "Cancelled") return
    this.asked.add(id)
    if (token > 0 && !this.ended.has(`${id} ${token}`)) {
      this.wrong.push(`Cancelled, and owner ${token} has not cleaned up`)
    }
  }

  programs(inside: Inside) {
    return Left.toLayer(({ program }) =>
      program === "dies"
        ? Effect.die(new Error("a bug"))
        : program === "pauses"
        ? Effect.flatMap(JobContext, ({ pause }) => pause("disk", "it is full"))
        : Effect.forever(Effect.andThen(Effect.sleep(50), Interrupter.check)), {
      onCancel: ({ end, isPolite, millis }, id) =>
        Effect.flatMap(Lease.Lease, ({ token }) => {
          const step = isPolite ? Effect.andThen(Effect.sleep(50), Effect.orDie(Interrupter.check)) : Effect.sleep(50)
          return Effect.sync(() => this.begin(inside, id, token)).pipe(
            Effect.andThen(Effect.replicateEffect(step, millis / 50, { discard: true })),
            Effect.andThen(end === "dies" ? Effect.die(new Error("a bug")) : Effect.void),
            Effect.onExit((exit) =>
              Effect.map(Interrupter.reason, (reason) => this.end(inside, id, token, exit, reason))
            )
          )
        })
    })
  }

  private begin(inside: Inside, id: JobId, token: number): void {
    const record = this.stored.get(id)
    if (inside.isOver) return
    if (record?.state._tag !== "Running" || record.token !== token) {
      this.wrong.push(`owner ${token} cleans up, and the job is ${record?.state._tag} under ${record?.token}`)
    }
    const other = this.cleaning.get(id)
    if (other !== undefined && !other.isOver) this.wrong.push(`owner ${token} cleans up while another one does`)
    this.cleaning.set(id, inside)
  }

  private end(
    inside: Inside,
    id: JobId,
    token: number,
    exit: Exit.Exit<unknown, unknown>,
    reason: Option.Option<Interrupter.Reason>
  ): void {
    if (inside.isOver) return
    this.cleaning.delete(id)
    const isStopped = Exit.isFailure(exit) && (Cause.hasInterrupts(exit.cause) || Option.isSome(reason))
    if (!isStopped) this.ended.add(`${id} ${token}`)
  }
}

type Opened = Process & { readonly inside: Inside }

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

/** Lets a world come to its end, and gives the sentences that break a law. */
export const run = Effect.fnUntraced(function*({ cancelAt, concurrency, deaths, plans, script }: World) {
  yield* TestClock.adjust(1)
  const watch = new Watch()
  const store = yield* JobStore.JobStore
  const opened: Array<Opened> = []
  const open = Effect.fnUntraced(function*(claim: "all" | "none", death?: World["deaths"][number]) {
    const inside: Inside = { isOver: false, writes: 0, kill: Effect.void, death }
    const one = yield* process([Left], Layer.fresh(watch.programs(inside)), {
      claim,
      concurrency,
      leaseTtl: 1000,
      grace: 100,
      shutdownDeadline: 2000
    }).pipe(Effect.provideService(JobStore.JobStore, watch.storeOf(inside, store)))
    inside.kill = one.kill
    return { ...one, inside } satisfies Opened
  })
  const observer = yield* open("none")
  opened.push(yield* open("all", deaths[0]))
  const ids = yield* Effect.forEach(plans, (plan) => Effect.map(observer.jobs.start(Left, plan), ({ id }) => id))
  yield* settle
  for (const { after, at, what } of [{ after: cancelAt, at: 0, what: "cancel" as const }, ...script]) {
    yield* pass(after * 100 + 3)
    const id = Option.getOrThrow(Option.fromUndefinedOr(ids[at % ids.length]))
    const alive = opened.filter(({ inside }) => !inside.isOver)
    const victim = alive[at % Math.max(1, alive.length)]
    if (what === "open") opened.push(yield* open("all", deaths[opened.length]))
    else if (what === "kill" || what === "close") {
      if (victim === undefined) continue
      victim.inside.isOver = what === "kill"
      yield* Effect.forkDetach(victim[what])
      if (what === "close") opened.splice(opened.indexOf(victim), 1)
    } else if (what === "cancelAndLeave") {
      const caller = yield* Effect.forkDetach(Effect.ignore((victim ?? observer).jobs.cancel(id)))
      if (at % 2 === 0) yield* Effect.yieldNow
      yield* Fiber.interrupt(caller)
    } else {
      // A process that dies in the middle of it does not answer any more.
      yield* Effect.forkDetach(Effect.ignore((victim ?? observer).jobs[what](id)))
    }
    yield* settle
  }
  opened.push(yield* open("all"))
  for (let i = 0; i < 40; i++) {
    yield* pass(500)
    const states = yield* Effect.forEach(watch.asked, store.get)
    if (states.every(({ state }) => state._tag === "Cancelled")) break
  }
  for (const id of watch.asked) {
    const { state } = yield* store.get(id)
    if (state._tag !== "Cancelled") watch.wrong.push(`a job that was asked to cancel is ${state._tag} in the end`)
  }
  for (const { close } of [observer, ...opened]) yield* Effect.forkDetach(close)
  yield* pass(5000)
  return watch.wrong
})
