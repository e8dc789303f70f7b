/**
 * The stop signal of one unit of work. Signals form a tree: a request reaches all below it.
 */
import type { Interrupter, Reason } from "../Interrupter.ts"
import { Chain, type Linked } from "./chain.ts"
import { logDefectUnsafe } from "./defect.ts"

const hardness: Record<Reason, number> = { Pause: 0, Shutdown: 1, Sibling: 1, Timeout: 1, Cancel: 2, LeaseLost: 3 }

class Listener implements Linked<Listener> {
  chain: object | undefined = undefined
  previous: Listener | undefined = undefined
  next: Listener | undefined = undefined
  readonly call: (reason: Reason) => void

  constructor(call: (reason: Reason) => void) {
    this.call = call
  }
}

export class Signal implements Interrupter, Linked<Signal> {
  reason: Reason | undefined = undefined
  chain: object | undefined = undefined
  previous: Signal | undefined = undefined
  next: Signal | undefined = undefined
  // There is one signal for each attempt of a task. Most have no children, and nobody listens.
  private children: Chain<Signal> | undefined = undefined
  private listeners: Chain<Listener> | undefined = undefined
  /** The parent, or how to leave one of another kind. */
  private readonly leave: Signal | (() => void) | undefined

  constructor(parent?: Interrupter) {
    if (parent instanceof Signal) {
      this.reason = parent.reason
      parent.children ??= new Chain()
      parent.children.add(this)
      this.leave = parent
    } else {
      this.leave = parent?.onRequestUnsafe((reason) => this.requestUnsafe(reason))
    }
  }

  /** What the work itself does when it is asked to stop; called before those that listen. */
  protected onStop(): void {}

  /** What becomes of what a listener has thrown: who asks for the stop, and all others, have nothing to do with it. */
  protected onDefect(defect: unknown): void {
    logDefectUnsafe("A listener to a stop has died", defect)
  }

  requestUnsafe(reason: Reason): void {
    const stopped: Array<Signal> = []
    this.markUnsafe(reason, stopped)
    for (const signal of stopped) {
      signal.onStop()
      for (const listener of signal.listeners?.toArray() ?? []) {
        // Whom one that was told has removed is not told any more.
        if (listener.chain === undefined) continue
        try {
          listener.call(reason)
        } catch (defect) {
          signal.onDefect(defect)
        }
      }
    }
  }

  /** Sets the reason everywhere before anybody is told: what goes on because another one has stopped must see it. */
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

  /** Detaches the signal from its parent. */
  closeUnsafe(): void {
    if (this.leave instanceof Signal) this.leave.children?.delete(this)
    else this.leave?.()
  }
}

/** Calls once: when a stop is requested, or now if it has been. Returns how to stop listening. */
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
