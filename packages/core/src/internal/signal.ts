/**
 * The stop signal of one unit of work. Signals form a tree: a request reaches the signal and all signals below.
 */
import type { Interrupter, Reason } from "../Interrupter.ts"
import { Chain, Linked } from "./chain.ts"
import { logDefectUnsafe } from "./defect.ts"

const hardness: Record<Reason, number> = { Pause: 0, Shutdown: 1, Sibling: 1, Timeout: 1, Cancel: 2, LeaseLost: 3 }

class Listener extends Linked<Listener> {
  readonly call: (reason: Reason) => void

  constructor(call: (reason: Reason) => void) {
    super()
    this.call = call
  }
}

export class Signal extends Linked<Signal> implements Interrupter {
  reason: Reason | undefined = undefined
  // Each attempt of a task has a signal. Most signals have neither children nor listeners.
  private children: Chain<Signal> | undefined = undefined
  private listeners: Chain<Listener> | undefined = undefined
  /** The parent if the parent is a `Signal`, otherwise a function that stops listening to the parent. */
  private readonly leave: Signal | (() => void) | undefined

  constructor(parent?: Interrupter) {
    super()
    if (parent instanceof Signal) {
      this.reason = parent.reason
      parent.children ??= new Chain()
      parent.children.add(this)
      this.leave = parent
    } else {
      this.leave = parent?.onRequestUnsafe((reason) => this.requestUnsafe(reason))
    }
  }

  /** Called for each stop request before the listeners are called. */
  protected onStop(): void {}

  /** Handles an error that a listener has thrown. Neither the requester nor other listeners see the error. */
  protected onDefect(defect: unknown): void {
    logDefectUnsafe("A listener to a stop has died", defect)
  }

  requestUnsafe(reason: Reason): void {
    const stopped: Array<Signal> = []
    this.markUnsafe(reason, stopped)
    for (const signal of stopped) {
      signal.onStop()
      for (const listener of signal.listeners?.toArray() ?? []) {
        // An earlier listener may have removed this listener.
        if (listener.chain === undefined) continue
        try {
          listener.call(reason)
        } catch (defect) {
          signal.onDefect(defect)
        }
      }
    }
  }

  /** Sets the reason in the whole tree before any listener runs: work that a listener resumes must see the reason. */
  private markUnsafe(reason: Reason, stopped: Array<Signal>): void {
    if (this.reason !== undefined && hardness[this.reason] >= hardness[reason]) return
    this.reason = reason
    for (const child of this.children?.toArray() ?? []) child.markUnsafe(reason, stopped)
    stopped.push(this)
  }

  onRequestUnsafe(call: (reason: Reason) => void): () => void {
    const listener = new Listener(call)
    const listeners = this.listeners ??= new Chain()
    listeners.add(listener)
    if (this.reason !== undefined) call(this.reason)
    return () => listeners.delete(listener)
  }

  /** Detaches the signal from the parent. */
  closeUnsafe(): void {
    if (this.leave instanceof Signal) this.leave.children?.delete(this)
    else this.leave?.()
  }
}

/** Calls `call` once: at the next stop request, or now after an earlier request. Returns how to stop listening. */
export const onFirstRequest = (
  interrupter: Pick<Interrupter, "onRequestUnsafe">,
  call: (reason: Reason) => void
): () => void => {
  let isOver = false
  let remove = () => {}
  remove = interrupter.onRequestUnsafe((reason) => {
    if (isOver) return
    isOver = true
    remove()
    call(reason)
  })
  if (isOver) remove()
  return remove
}
