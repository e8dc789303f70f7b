/**
 * Processes that copy and move on a disk in memory, and are killed.
 */
import * as JobManager from "@fanout/core/JobManager"
import * as JobStore from "@fanout/core/JobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Copy from "@fanout/ops/Copy"
import * as Files from "@fanout/ops/Files"
import * as HardLinks from "@fanout/ops/HardLinks"
import * as Move from "@fanout/ops/Move"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { QuickFiles } from "../src/internal/files/quickFiles.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

/** A process that is killed makes no more calls, and hears of none: neither of files nor of the store. */
class Process {
  private left: number

  constructor(calls: number) {
    this.left = calls
  }

  private readonly isAlive = Effect.suspend(() => this.left > 0 ? Effect.void : Effect.never)

  readonly before: FaultyFiles.Before = () => Effect.andThen(Effect.sync(() => this.left--), this.isAlive)

  /** A service whose methods are called by this process. */
  of<A extends object>(service: A): A {
    return new Proxy(service, {
      get: (target, name, receiver) => {
        const member: unknown = Reflect.get(target, name, receiver)
        const alive = (call: Effect.Effect<unknown, unknown>) =>
          Effect.tap(Effect.andThen(this.isAlive, call), this.isAlive)
        if (typeof member === "function") {
          return (...args: ReadonlyArray<unknown>) => alive(Effect.suspend(() => member.apply(target, args)))
        }
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is no method is an effect
        return Effect.isEffect(member) ? alive(member as Effect.Effect<unknown, unknown>) : member
      }
    })
  }
}

/** Starts a process that copies and moves, and is killed after so many calls. */
export const open = Effect.fnUntraced(function*(
  disk: MemoryFiles.Disk,
  { isTogether }: { readonly isTogether: boolean },
  memory: HardLinks.HardLinks["Service"],
  calls: number
) {
  const process = new Process(calls)
  const files = FaultyFiles.intercept(MemoryFiles.make(disk), process.before)
  const quick = Effect.succeed(isTogether ? Option.some(files) : Option.none())
  const context = yield* JobManager.layer({
    jobs: [Copy.job, Move.job],
    leaseTtl: 2000,
    pollInterval: 1000,
    shutdownDeadline: 0
  }).pipe(
    Layer.provide(Layer.merge(Copy.layer, Move.layer)),
    Layer.provide(Layer.fresh(Pools.layer({ io: 4 }))),
    Layer.provide(Layer.fresh(OwnerLiveness.layerBlind)),
    Layer.provide(Layer.succeed(JobStore.JobStore, process.of(yield* JobStore.JobStore))),
    Layer.provide(Layer.succeed(HardLinks.HardLinks, process.of(memory))),
    Layer.provide(Layer.succeed(Files.Files, files)),
    Layer.provide(Layer.succeed(QuickFiles, { throughout: () => quick, isSlow: () => false })),
    // One that is killed never comes to its end.
    Layer.buildWithScope(Number.isFinite(calls) ? yield* Scope.make() : yield* Effect.scope)
  )
  return Context.get(context, JobManager.JobManager)
})

/** What starts jobs and looks at them, and runs none. */
export const starter = Effect.fnUntraced(function*(disk: MemoryFiles.Disk, memory: HardLinks.HardLinks["Service"]) {
  const context = yield* JobManager.layer({ jobs: [Copy.job, Move.job], claim: "none", shutdownDeadline: 0 }).pipe(
    Layer.provide(Layer.merge(Copy.layer, Move.layer)),
    Layer.provide([Pools.layer(), OwnerLiveness.layerBlind, MemoryFiles.layer(disk)]),
    Layer.provide(Layer.succeed(HardLinks.HardLinks, memory)),
    Layer.buildWithScope(yield* Effect.scope)
  )
  return Context.get(context, JobManager.JobManager)
})
