import threading

from edge_agent.latest import Latest


def test_the_newest_item_wins_and_the_loss_is_counted() -> None:
    latest: Latest[int] = Latest()
    for item in (1, 2, 3):
        latest.put(item)
    assert latest.take(0) == 3
    assert latest.dropped == 2
    assert latest.take(0) is None


def test_close_wakes_the_taker_and_leaves_the_last_item() -> None:
    latest: Latest[int] = Latest()
    taken: list[int | None] = []
    taker = threading.Thread(target=lambda: taken.append(latest.take(30)))
    taker.start()
    latest.close()
    taker.join(30)
    assert taken == [None]
    assert latest.closed
