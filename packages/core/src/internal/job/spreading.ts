/**
 * Spreads jobs over the processes that claim them: a process leaves a job for a while to a process with less to do.
 *
 * Each process announces in the store which jobs it claims, and how many it runs at once. The leases tell how many jobs
 * each of them runs. A job that nobody has claimed after two polls is for whoever has a place.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import type { JobId } from "../../JobId.ts"
import type { Claimer, Held, Kind } from "../../JobStore.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import type { JobRuntime } from "./runtime.ts"

/** Another process, as far as it is known in one round. */
interface Other extends Omit<Claimer, "owner"> {
  /** The jobs that it runs, and those that this process leaves to it. */
  jobs: number
}

export class Spreading {
  private readonly runtime: JobRuntime
  private readonly names: ReadonlyArray<string>
  private announcedAt: bigint | undefined = undefined
  private now = 0n
  private others: ReadonlyArray<Other> = []
  /** The other processes that live, and when they were read. */
  private known: { readonly at: bigint; readonly claimers: ReadonlyArray<Claimer> } | undefined = undefined
  /** Since when each due job is left to others, before and in this round. */
  private before: ReadonlyMap<JobId, bigint> = new Map()
  private since = new Map<JobId, bigint>()

  /** `names` are those of the jobs that any process may claim in place of this one. */
  constructor(runtime: JobRuntime, names: ReadonlyArray<string>) {
    this.runtime = runtime
    this.names = names
  }

  private announce(places: number): Effect.Effect<void, JobStoreError> {
    const { liveness: { self: owner }, store, timing } = this.runtime
    return this.names.length === 0
      ? Effect.void
      : store.announce({ owner, names: this.names, places }, timing.ttlMillis)
  }

  /** Tells the others that this process claims jobs, unless they know. */
  get arrive(): Effect.Effect<void, JobStoreError> {
    return Effect.suspend(() => {
      const { clock, places, timing } = this.runtime
      const now = clock.monotonicTimeNanosUnsafe()
      if (this.announcedAt !== undefined && Number(now - this.announcedAt) / 1e6 < timing.ttlMillis / 3) {
        return Effect.void
      }
      return Effect.tap(this.announce(places.limit), () => Effect.sync(() => void (this.announcedAt = now)))
    })
  }

  /** Tells the others that this process claims no more jobs. They forget it after a while all the same. */
  get leave(): Effect.Effect<void> {
    return Effect.ignore(this.announce(0))
  }

  /** Begins a round in which jobs of some kinds may be claimed. `held` are the jobs that run. */
  begin(kinds: ReadonlyArray<Kind>, held: ReadonlyArray<Held>): Effect.Effect<void, JobStoreError> {
    return Effect.gen({ self: this }, function*() {
      this.now = this.runtime.clock.monotonicTimeNanosUnsafe()
      this.before = this.since
      this.since = new Map()
      const claimers = this.names.length === 0 || kinds.length === 0 ? [] : yield* this.claimers
      this.others = claimers.map(({ names, owner, places }) => {
        const isOwner = (lease: Held["lease"]) => Option.exists(lease, (one) => Equal.equals(one.owner, owner))
        return { names, places, jobs: held.filter(({ lease }) => isOwner(lease)).length }
      })
    })
  }

  /** Reads the others once for each poll, however many jobs begin and end in between. */
  private get claimers(): Effect.Effect<ReadonlyArray<Claimer>, JobStoreError> {
    const { known, now, runtime: { liveness, store, timing } } = this
    if (known !== undefined && Number(now - known.at) / 1e6 < timing.pollMillis) return Effect.succeed(known.claimers)
    return Effect.gen({ self: this }, function*() {
      const others = (yield* store.claimers).filter(({ owner }) => !Equal.equals(owner, liveness.self))
      const claimers = yield* Effect.filter(
        others,
        ({ owner }) => Effect.map(liveness.isDead(owner), (isDead) => !isDead)
      )
      this.known = { at: now, claimers }
      return claimers
    })
  }

  /** Whether another process that claims jobs of a name has no free place. */
  isAnyFull(name: string): boolean {
    return this.others.some(({ jobs, names, places }) => jobs >= places && names.includes(name))
  }

  /** Whether this process may claim a job now, and does not leave it to the process with the least to do. */
  isForThisProcess({ id, name }: { readonly id: JobId; readonly name: string }): boolean {
    const { places, runs, timing } = this.runtime
    let since = this.since.get(id)
    if (since === undefined) {
      let [least, share]: [Other | undefined, number] = [undefined, (runs.size + 1) / places.limit]
      for (const other of this.others) {
        const next = (other.jobs + 1) / other.places
        if (other.jobs < other.places && next < share && other.names.includes(name)) [least, share] = [other, next]
      }
      if (least === undefined) return true
      least.jobs++
      since = this.before.get(id) ?? this.now
      this.since.set(id, since)
    }
    return Number(this.now - since) / 1e6 >= 2 * timing.pollMillis
  }
}
