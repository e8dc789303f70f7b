/**
 * Shows what stands where there is nothing to show: why, and what to do.
 */
import type { ComponentChildren } from "preact"

interface Properties {
  readonly title: string
  readonly children?: ComponentChildren
}

export const Blank = ({ children, title }: Properties) => (
  <div class="blank">
    <p>
      <strong>{title}</strong>
    </p>
    {children}
  </div>
)

/** Nothing was read yet. Who waits a moment sees nothing, who waits longer sees that he does. */
export const Waiting = () => <p class="waiting" role="status">Reading…</p>

interface BrokenProperties {
  readonly error: Error
  readonly children?: ComponentChildren
}

/** Names of errors of a server that does not answer. */
const away = new Set(["TypeError", "TimeoutError"])

/** Reading failed, and nothing was read before. */
export const Broken = ({ children = "It is tried again by itself.", error }: BrokenProperties) => (
  <Blank title="This can't be shown.">
    <p>{away.has(error.name) ? "The server can't be reached." : error.message} {children}</p>
  </Blank>
)
