/**
 * Bounds how many requests a job has under way at a store: fewer once the store asks for fewer, and more as long as it
 * does not. (Additive increase, multiplicative decrease: D. Chiu and R. Jain, 1989.)
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { ObjectStore, ObjectStoreError } from "../../ObjectStore.ts"

/** As many requests as there are connections to a bucket. */
const mostRequests = 64

/** What is left of the bound when the store asks for fewer requests. */
const lessBy = 0.7

/** The bound is lowered once in this time: requests that were made together are refused together. */
const onceInMillis = 250

/** Of each request that may be under way so many are answered before one more may be. */
const answersForMore = 4

/** Requests that are not made yet wait for so long after a refusal: most of them would be refused, too. */
const leastClosedMillis = 50

/** A store may ask for no request for so long at most. */
export const mostAskedMillis = 60_000

/** The bound of one store. */
class Pace {
  private readonly permits = Semaphore.makeUnsafe(mostRequests)
  private most = mostRequests
  private answered = 0
  private loweredAt = Number.NEGATIVE_INFINITY
  private closedUntil = Number.NEGATIVE_INFINITY

  private resize(most: number): Effect.Effect<void> {
    this.most = most
    this.answered = 0
    return this.permits.resize(most)
  }

  /** One more request may be under way once some were answered of each that may be now. */
  private readonly raise = Effect.suspend(() =>
    this.most < mostRequests && ++this.answered >= answersForMore * this.most ? this.resize(this.most + 1) : Effect.void
  )

  private lower(afterMillis: number): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const millis = Math.min(Math.max(afterMillis, leastClosedMillis), mostAskedMillis)
      this.closedUntil = Math.max(this.closedUntil, now + millis)
      if (now < this.loweredAt + onceInMillis) return Effect.void
      this.loweredAt = now
      return this.resize(Math.max(1, Math.floor(this.most * lessBy)))
    })
  }

  private readonly whileClosed = Effect.suspend(() =>
    this.closedUntil === Number.NEGATIVE_INFINITY ? Effect.void : Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const millis = this.closedUntil - now
      return millis > 0 ? Effect.sleep(millis) : Effect.void
    })
  )

  private readonly failed = ({ reason }: ObjectStoreError) =>
    reason._tag === "Throttled" ? this.lower(reason.afterMillis ?? 0) : Effect.void

  private noted<A, R>(request: Effect.Effect<A, ObjectStoreError, R>): Effect.Effect<A, ObjectStoreError, R> {
    return Effect.andThen(this.whileClosed, Effect.tap(Effect.tapError(request, this.failed), this.raise))
  }

  /** Makes a request in its turn. */
  readonly one = <A, R>(request: Effect.Effect<A, ObjectStoreError, R>) => this.permits.withPermit(this.noted(request))

  /** The same with one that tells what has failed of it. */
  readonly several = (request: Effect.Effect<ReadonlyArray<ObjectStoreError>, ObjectStoreError>) =>
    this.one(Effect.tap(request, (errors) => Effect.forEach(errors, this.failed, { discard: true })))

  /** The same with one whose answer is read until the scope ends. */
  readonly open = <A, R>(request: Effect.Effect<A, ObjectStoreError, R>) =>
    Effect.andThen(
      Effect.acquireRelease(this.permits.take(1), () => this.permits.release(1), { interruptible: true }),
      this.noted(request)
    )
}

/** A store that is asked at a pace. Pages of listings are few, and wait by themselves where the store asks for that. */
export const paced = (store: ObjectStore): ObjectStore => {
  const { one, open, several } = new Pace()
  const { uploads } = store
  return {
    ...store,
    children: (prefix, options) => one(store.children(prefix, options)),
    head: (key) => one(store.head(key)),
    get: (key, options) => open(store.get(key, options)),
    read: (key, buffer, options) => one(store.read(key, buffer, options)),
    put: (key, bytes, options) => one(store.put(key, bytes, options)),
    copy: (source, key, options) => one(store.copy(source, key, options)),
    remove: (keys) => several(store.remove(keys)),
    uploads: {
      ...uploads,
      begin: (key, options) => one(uploads.begin(key, options)),
      put: (upload, number, bytes) => one(uploads.put(upload, number, bytes)),
      copy: (upload, number, source, range) => one(uploads.copy(upload, number, source, range)),
      complete: (upload, parts, options) => one(uploads.complete(upload, parts, options)),
      abort: (upload) => one(uploads.abort(upload))
    }
  }
}
