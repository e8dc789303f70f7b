/**
 * Shows what lies above the page: an open question, and the keys.
 */
import { signal } from "@preact/signals"
import type { ComponentChildren } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { question } from "./asking.ts"

/** Whether the keys are shown. */
export const areKeysShown = signal(false)

interface Properties {
  readonly title: string
  readonly onClose: () => void
  readonly children: ComponentChildren
}

/** The browser keeps the focus within a dialog, and gives it back afterwards. */
const Dialog = ({ children, onClose, title }: Properties) => {
  const element = useRef<HTMLDialogElement>(null)
  useEffect(() => element.current?.showModal(), [])
  return (
    <dialog ref={element} aria-labelledby="dialog-title" onClose={onClose}>
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  )
}

const Question = () => {
  if (question.value === undefined) return null
  const { act, no, text, title, yes } = question.value
  const close = () => {
    question.value = undefined
  }
  return (
    <Dialog title={title} onClose={close}>
      <p>{text}</p>
      <form method="dialog" class="buttons">
        <button type="submit" autofocus>{no}</button>
        <button type="submit" class="danger" onClick={act}>{yes}</button>
      </form>
    </Dialog>
  )
}

const keys = [
  ["j, k", "next job, job before"],
  ["Enter", "open the job"],
  ["x", "select the job or the failure, or not"],
  ["A", "select all that are shown, or none"],
  ["p, r, t", "pause, resume, retry what is selected, or the job"],
  ["C", "cancel what is selected, or the job; asks first"],
  ["/", "find by id or name"],
  ["n", "show new jobs"],
  ["u", "back to the list"],
  ["Esc", "select nothing; close"],
  ["?", "these keys"]
]

const Keys = () =>
  areKeysShown.value
    ? (
      <Dialog title="Keys" onClose={() => areKeysShown.value = false}>
        <dl class="keys">
          {keys.map(([key, what]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
        <form method="dialog" class="buttons">
          <button type="submit" autofocus>Close</button>
        </form>
      </Dialog>
    )
    : null

export const Dialogs = () => (
  <>
    <Question />
    <Keys />
  </>
)
