import * as Scheduler from "effect/Scheduler"

/**
 * Has fibers give way to others once, before the operation with this number.
 *
 * A fiber does so after some thousand operations, wherever it is then. What another one tells it meanwhile must not be
 * missed: who looks whether to wait, and then waits, has to look once more as it begins to.
 */
export class GivingWay extends Scheduler.MixedScheduler {
  private left: number

  constructor(operation: number) {
    super()
    this.left = operation
  }

  override shouldYield(): boolean {
    return this.left-- === 0
  }

  /** Whether there was such an operation. */
  get hasGivenWay(): boolean {
    return this.left < 0
  }
}
